package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hydrawalk/hydra/walk"
)

// random fills a value that can be written with whatever its type allows.
func random(r *rand.Rand, v reflect.Value, depth int) {
	length := func() int {
		if depth > 5 {
			return 0
		}
		return []int{0, 1, 1, 2, 3}[r.IntN(5)]
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.String:
		v.SetString(string(randomBytes(r)))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(edge(r) >> (64 - v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(edge(r)) >> (64 - v.Type().Bits()))
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(randomBytes(r))
			return
		}
		n := length()
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			random(r, v.Index(i), depth+1)
		}
	case reflect.Float64:
		v.SetFloat(float64(edge(r)) / 3)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range length() {
			key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			random(r, key, depth+1)
			random(r, elem, depth+1)
			v.SetMapIndex(key, elem)
		}
	case reflect.Pointer:
		if v.Type() != reflect.TypeFor[*walk.Error]() && r.IntN(2) == 0 { // a record has none
			v.Set(reflect.New(v.Type().Elem()))
			random(r, v.Elem(), depth+1)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			if r.IntN(3) > 0 {
				v.Set(reflect.ValueOf(time.Unix(r.Int64N(1<<33), r.Int64N(1e9)).UTC()))
			}
			return
		}
		for i := range v.NumField() {
			random(r, v.Field(i), depth+1)
		}
	default:
		panic(fmt.Sprintf("a %s can not be written", v.Type()))
	}
}

func edge(r *rand.Rand) int64 {
	switch r.IntN(4) {
	case 0:
		return 0
	case 1:
		return []int64{1, -1, math.MaxInt64, math.MinInt64}[r.IntN(4)]
	}
	return int64(r.Uint64()) >> r.IntN(64)
}

func randomBytes(r *rand.Rand) []byte {
	b := make([]byte, []int{0, 1, 2, 5, 5, 5, 20, 255}[r.IntN(8)])
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	check := func(in, out any) {
		if err := Decode(Encode(in), out); err != nil {
			fail("%T: %v", in, err)
		}
		if diff := cmp.Diff(in, out, cmpopts.EquateEmpty()); diff != "" {
			fail("%T is not what was written:\n%s", in, diff)
		}
	}
	eachSeed(t, 200, 20_000, func(seed uint64, _ io.Writer) {
		r := rand.New(rand.NewPCG(seed, 2))
		var rec Record
		random(r, reflect.ValueOf(&rec).Elem(), 0)
		check(&rec, new(Record))
		var s State
		random(r, reflect.ValueOf(&s).Elem(), 0)
		check(&s, new(State))
		var d Delivery
		random(r, reflect.ValueOf(&d).Elem(), 0)
		check(&d, new(Delivery))
	})
	check(&Record{}, new(Record))
	check(NewState(), new(State))
}

func TestLargeRecordsAreWritten(t *testing.T) {
	in := Record{Data: make([]byte, 10<<20)}
	for i := range 200_000 {
		in.Held = append(in.Held, walk.Item{Path: fmt.Appendf(nil, "some/where/\xff%d", i), Inode: uint64(i)})
	}
	data := Encode(&in)
	var out Record
	if err := Decode(data, &out); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(in.Held, out.Held) || !bytes.Equal(in.Data, out.Data) {
		t.Error("a large record is not what was written")
	}
	t.Logf("%d bytes an item", (len(data)-len(in.Data))/len(in.Held))
}

func TestOtherVersionsAreTold(t *testing.T) {
	good := Encode(NewState())
	good[0]++
	for _, data := range [][]byte{nil, {}, {0}, good} {
		if err := Decode(data, new(State)); !errors.Is(err, ErrVersion) {
			t.Errorf("%x: %v, want ErrVersion", data, err)
		}
	}
	if err := Decode(Encode(NewState())[:5], new(State)); err == nil || errors.Is(err, ErrVersion) {
		t.Errorf("a state cut short: %v", err)
	}
}

// FuzzDecode decodes what nobody of ours wrote.
func FuzzDecode(f *testing.F) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 3))
		var rec Record
		random(r, reflect.ValueOf(&rec).Elem(), 4)
		f.Add(Encode(&rec))
		var s State
		random(r, reflect.ValueOf(&s).Elem(), 4)
		f.Add(Encode(&s))
	}
	f.Add([]byte{})
	f.Add([]byte{version})
	f.Add([]byte{version, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})                     // a very long array
	f.Add([]byte{version, 0xa1, 0x64, 'H', 'e', 'l', 'd', 0x9a, 0x00, 0xff, 0xff, 0xff})             // Held has many, it says
	f.Add([]byte{version, 0xa1, 0x64, 'D', 'a', 't', 'a', 0x5a, 0x7f, 0xff, 0xff, 0xff})             // long Data
	f.Add(append([]byte{version}, bytes.Repeat([]byte{0x81}, 1000)...))                              // deep
	f.Add(append([]byte{version, 0xa1, 0x64, 'O', 'u', 't', 's', 0x99, 1, 0}, make([]byte, 256)...)) // numbers for bags
	f.Fuzz(func(t *testing.T, data []byte) {
		var rec Record
		var s State
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		recErr, stateErr := Decode(data, &rec), Decode(data, &s)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20+1000*uint64(len(data)) {
			t.Errorf("%d bytes for %d", used, len(data))
		}
		// What can be read can be written and read again.
		if recErr == nil {
			if err := Decode(Encode(&rec), new(Record)); err != nil {
				t.Error(err)
			}
		}
		// Nobody who writes a record ends the coordinator.
		if recErr == nil && stateErr != nil {
			j := NewJob(NewState(), []*Record{&rec})
			for _, ref := range j.Free() {
				j.Tried(ref)
			}
			j.Deliveries(rec.Session, 0)
			j.SettledOf(rec.Session)
			j.Remains(1)
			f := rec.Fence()
			j.Apply(&f)
		}
		if stateErr == nil {
			if err := Decode(Encode(&s), new(State)); err != nil {
				t.Error(err)
			}
		}
	})
}
