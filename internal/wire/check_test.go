package wire

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/joblog"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/walk"
)

// messages are all that is sent, and values all that a table holds, made anew.
func sent() []Message {
	return []Message{new(Hello), new(Welcome), new(Beat), new(Seen), new(Logs), new(Order), new(Ask), new(Answer), new(PeerAsk), new(PeerAnswer), new(Status)}
}

func kept() []any {
	return []any{new(Spec), new(Claim), new(Letter), new(ActFrame), new(ledger.Record), new(ledger.State)}
}

// each calls f with all types that a value can consist of.
func each(t reflect.Type, seen map[reflect.Type]bool, f func(reflect.Type)) {
	if seen[t] {
		return
	}
	seen[t] = true
	f(t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		each(t.Elem(), seen, f)
	case reflect.Map:
		each(t.Key(), seen, f)
		each(t.Elem(), seen, f)
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range t.NumField() {
			if field := t.Field(i); field.Tag.Get("cbor") != "-" {
				each(field.Type, seen, f)
			}
		}
	}
}

func TestBytesNeverChooseATypeOfWhatIsMadeOfThem(t *testing.T) {
	seen := map[reflect.Type]bool{}
	for _, root := range sent() {
		each(reflect.TypeOf(root), seen, func(reflect.Type) {})
	}
	for _, root := range kept() {
		each(reflect.TypeOf(root), seen, func(reflect.Type) {})
	}
	names := map[string]bool{}
	for is := range seen {
		switch is.Kind() {
		case reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Uintptr, reflect.Complex64, reflect.Complex128:
			t.Errorf("%v is a part of what is sent or kept", is)
		}
		if is.PkgPath() == reflect.TypeFor[Hello]().PkgPath() {
			names[is.Name()] = true
		}
	}
	// Each type of the package is looked at.
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range tree.Decls {
			g, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				if s, ok := spec.(*ast.TypeSpec); ok && s.Name.Name != "Message" && s.Name.Name != "Rank" && !names[s.Name.Name] {
					t.Errorf("%s is not among the types of this test", s.Name.Name)
				}
			}
		}
	}
}

// bombs are a few bytes each that claim to be much of a type.
func bombs(t reflect.Type, n int) [][]byte {
	many := func(of byte) []byte { // an array
		b := []byte{0x99, byte(n >> 8), byte(n)}
		return append(b, slices.Repeat([]byte{of}, n)...)
	}
	huge := []byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	large := []byte{0x9a, 0x00, 0x3f, 0xff, 0xff}
	text := []byte{0x5a, 0x7f, 0xff, 0xff, 0xff}
	bodies := [][]byte{many(0xa0), many(0xf6), many(0x80), many(0x40), huge, large, text, {0xbb, 0, 0, 0, 1, 0, 0, 0, 0}}
	var all [][]byte
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for i := range t.NumField() {
		name, err := cbor.Marshal(t.Field(i).Name)
		if err != nil {
			panic(err)
		}
		for _, body := range bodies {
			all = append(all, append(append([]byte{1, 0xa1}, name...), body...))
			// And one deeper.
			deeper := append([]byte{1, 0xa1}, name...)
			deeper = append(deeper, 0x81, 0xa1)
			for _, inner := range []string{"Items", "Part", "Sessions", "Names", "Records", "Apps", "Jobs", "Events", "Roots", "Sights"} {
				key, _ := cbor.Marshal(inner)
				all = append(all, append(append(slices.Clone(deeper), key...), body...))
			}
		}
	}
	return all
}

func TestFewBytesTakeLittleMemory(t *testing.T) {
	var before, after runtime.MemStats
	measure := func(data []byte, into any, decode func() error) {
		runtime.ReadMemStats(&before)
		err := decode()
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 2<<20 {
			t.Errorf("%T: %d bytes take %d: %.40x (%v)", into, len(data), used, data, err)
		}
	}
	for i, m := range sent() {
		for _, data := range bombs(reflect.TypeOf(m), 1000) {
			into := sent()[i]
			measure(data, into, func() error { return Decode(data, into) })
		}
	}
	for i, v := range kept() {
		for _, data := range bombs(reflect.TypeOf(v), 1000) {
			into := kept()[i]
			measure(data, into, func() error { return Read(&bus.Value{Data: data}, into) })
		}
	}
	if err := Decode(ledger.Encode(&Welcome{Server: strings.Repeat("x", bus.MaxMessage)}), new(Welcome)); err == nil {
		t.Error("a message that is too large was read")
	}
	for _, b := range []byte{0x9f, 0xbf, 0xc0, 0xd9} { // of no length, a date, any tag
		if err := Decode([]byte{1, 0xa1, 0x63, 'E', 'r', 'r', b, 0xff, 0xff}, new(Answer)); err == nil {
			t.Errorf("%x was read", b)
		}
	}
	if err := Decode([]byte{1, 0xa2, 0x63, 'J', 'o', 'b', 0x61, 'a', 0x63, 'J', 'o', 'b', 0x61, 'b'}, new(PeerAsk)); err == nil {
		t.Error("a field that is there twice was read")
	}
	if err := Decode([]byte{1, 0xa2, 0x63, 'N', 'e', 'w', 0x61, 'a', 0x63, 'J', 'o', 'b', 0x61, 'b'}, new(PeerAsk)); err != nil {
		t.Errorf("with a field of a newer version: %v", err)
	}
}

// nasty is what a client could call itself, or say.
const nasty = "\x1b[2J\nfake\u202e\xff"

// named are the fields that name something, and have to be as they should or are refused.
var named = []string{"Client", "Job", "Session", "Sender", "Topic", "Role", "Topics", "Server"}

// fill fills a value with texts of nobody's wish.
func fill(r *rand.Rand, v reflect.Value, field, text string, depth int) {
	switch v.Kind() {
	case reflect.String:
		switch {
		case field == "Role":
			v.SetString(string(RoleUser))
		case v.Type() == reflect.TypeFor[ledger.Phase]() && field == "Phase":
			v.SetString(string(ledger.Running))
		case slices.Contains(named, field):
			v.SetString("a1")
		default:
			v.SetString(text)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(text[:min(len(text), 100)]))
			return
		}
		n := 1 + r.IntN(2)
		if depth > 6 {
			n = 0
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(r, v.Index(i), field, text, depth+1)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i), field, text, depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(r, key, "Client", text, depth+1)
		fill(r, elem, field, text, depth+1)
		v.SetMapIndex(key, elem)
	case reflect.Pointer:
		if v.Type() != reflect.TypeFor[*walk.Error]() && depth < 7 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem(), field, text, depth+1)
		}
	case reflect.Struct:
		if v.Type() != reflect.TypeFor[time.Time]() {
			for i := range v.NumField() {
				fill(r, v.Field(i), v.Type().Field(i).Name, text, depth+1)
			}
		}
	}
}

// free are the texts that may be anything: they are paths, names of what a program knows,
// or are compared with such.
var free = []string{"Record.Named.Path", "Record.Stalled.Path", "Record.Mounts.Path", "State.Suspects.Path",
	"PeerAnswer.Workers.Dir", "Spec.Own.Name", "Record.Held.Part.Dir", "Record.Outs.Items.Part.Dir", "State.Outs.Items.Part.Dir",
	"Order.Deliveries.Bag.Items.Part.Dir", "Order.Left", "Record.DataKeys", "Record.Outs.Tried", "State.Outs.Tried", "State.Suspects.Stalls",
	"Order.Deliveries.Bag.Tried", "Order.Deliveries.Ref.From", "State.Moves.Ref.From", "State.Moves.To", "State.Settled.From", "State.Careful.From", "State.Again.From",
	"State.After.Ref.From", "State.After.Of", "State.Outs.Settle", "Record.Outs.Settle", "Order.Deliveries.Bag.Settle", "State.Control.Levels", "Ask.Set.Levels",
	"Answer.Control.Levels", "Answer.Control.Changes.Key", "Answer.Control.Changes.Value"}

// texts calls f with each text of a value, and where it stands.
func texts(v reflect.Value, where string, f func(where, text string)) {
	switch v.Kind() {
	case reflect.String:
		f(where, v.String())
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			for i := range v.Len() {
				texts(v.Index(i), where, f)
			}
		}
	case reflect.Map:
		for iter := v.MapRange(); iter.Next(); {
			texts(iter.Key(), where, f)
			texts(iter.Value(), where, f)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			texts(v.Elem(), where, f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				name := where + "." + field.Name
				if field.Anonymous && field.Name != "Ref" {
					name = where
				}
				texts(v.Field(i), name, f)
			}
		}
	}
}

func TestWhatOthersSayIsHarmless(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	check := func(v any, read func() error) {
		name := reflect.TypeOf(v).Elem().Name()
		if err := read(); err != nil {
			for _, c := range err.Error() {
				if c != '\n' && !unicode.IsPrint(c) {
					t.Errorf("%s: the error %q", name, err)
				}
			}
			if name != "Spec" && name != "Ask" { // whose application has such a name
				t.Errorf("%s: %v", name, err)
			}
			return
		}
		texts(reflect.ValueOf(v), name, func(where, text string) {
			if slices.Contains(free, where) {
				return
			}
			if len(text) > mostAnswer || !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
				t.Errorf("%s is %.60q (%d bytes)", where, text, len(text))
			}
		})
	}
	for _, text := range []string{nasty, strings.Repeat("x", mostReason+100)} {
		for i, m := range sent() {
			fill(r, reflect.ValueOf(m).Elem(), "", text, 0)
			got := sent()[i]
			check(got, func() error { return Decode(ledger.Encode(m), got) })
		}
		for i, v := range kept() {
			fill(r, reflect.ValueOf(v).Elem(), "", text, 0)
			key := ""
			switch v := v.(type) {
			case *ledger.Record:
				key = KeyRecord(v.Session)
			case *Letter:
				key = KeyLetter(v)
			}
			got := kept()[i]
			check(got, func() error { return Read(&bus.Value{Key: key, Data: ledger.Encode(v)}, got) })
		}
	}
}

func TestNobodyCallsHimselfAsHeLikes(t *testing.T) {
	for _, name := range []string{"", nasty, "a.b.c", "a.", ".a", "*", ">", "a b", strings.Repeat("a", mostID+1), "ä"} {
		messages := map[string][]byte{
			"Hello": ledger.Encode(Hello{Client: ledger.ClientID(name)}),
			"Beat":  ledger.Encode(Beat{Hello: Hello{Client: "c"}, Sessions: []Pulse{{Job: name, Session: "c.s"}}}),
			"Seen":  ledger.Encode(Seen{Client: ledger.ClientID(name), Job: "j"}),
			"Logs":  ledger.Encode(Logs{Client: ledger.ClientID(name)}),
		}
		for kind, data := range messages {
			i := slices.IndexFunc(sent(), func(m Message) bool { return reflect.TypeOf(m).Elem().Name() == kind })
			if err := Decode(data, sent()[i]); err == nil {
				t.Errorf("%s of %q was read", kind, name)
			}
		}
		r := ledger.Record{Session: ledger.SessionID(name), Client: "c"}
		if err := Read(&bus.Value{Key: KeyRecord(r.Session), Data: ledger.Encode(r)}, new(ledger.Record)); err == nil {
			t.Errorf("a record of the session %q was read", name)
		}
	}
	if err := Read(&bus.Value{Key: KeyRecord("t"), Data: ledger.Encode(ledger.Record{Session: "s", Client: "c"})}, new(ledger.Record)); err == nil {
		t.Error("a record of another session was read")
	}
	if err := Read(&bus.Value{Key: "m.s.x.1", Data: ledger.Encode(Letter{Topic: "t", From: Address{Role: RoleUser}, To: Address{Role: RoleServer}, Sender: "y", N: 1})}, new(Letter)); err == nil {
		t.Error("a letter of another sender was read")
	}
}

// FuzzMessages reads what no program of ours sent.
func FuzzMessages(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for i, m := range sent() {
		fill(r, reflect.ValueOf(m).Elem(), "", "text", 3)
		f.Add(uint8(i), ledger.Encode(m))
	}
	f.Add(uint8(4), ledger.Encode(Logs{Client: "c", Records: []joblog.Record{{Text: nasty}}}))
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		all := sent()
		m := all[int(kind)%len(all)]
		bounded(t, data, m, func() error { return Decode(data, m) }, func(again []byte) error {
			err := Decode(again, sent()[int(kind)%len(all)])
			if len(again) > bus.MaxMessage {
				return nil
			}
			return err
		})
	})
}

// FuzzValues reads what no program of ours wrote into a table.
func FuzzValues(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for i, v := range kept() {
		fill(r, reflect.ValueOf(v).Elem(), "", "text", 3)
		f.Add(uint8(i), KeyRecord("a1"), ledger.Encode(v))
		if l, ok := v.(*Letter); ok {
			f.Add(uint8(i), KeyLetter(l), ledger.Encode(v))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, key string, data []byte) {
		all := kept()
		v := all[int(kind)%len(all)]
		bounded(t, data, v, func() error { return Read(&bus.Value{Key: key, Data: data}, v) }, func(again []byte) error {
			return Read(&bus.Value{Key: key, Data: again}, kept()[int(kind)%len(all)])
		})
	})
}

// bounded checks that what is read takes no more memory than it may, and can be written and
// read again.
func bounded(t *testing.T, data []byte, v any, read func() error, again func([]byte) error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := read()
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20+1000*uint64(len(data)) {
		t.Errorf("%T: %d bytes for %d", v, used, len(data))
	}
	if err != nil {
		return
	}
	if err := again(ledger.Encode(v)); err != nil {
		t.Errorf("%T can not be read again: %v", v, err)
	}
}
