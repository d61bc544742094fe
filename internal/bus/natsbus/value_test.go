package natsbus

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/hydrawalk/hydra/internal/bus"
)

func FuzzDecode(f *testing.F) {
	for _, n := range []int{0, 10, compressFrom + 1} {
		f.Add(pack(nonce{1, 2}, bytes.Repeat([]byte("ab"), n)).encode())
		f.Add(pack(nonce{1, 2}, random(n)).encode())
	}
	split := pack(nonce{3}, random(10<<10))
	split.split(4 << 10)
	f.Add(split.encode())
	huge := &envelope{kind: kindS2, size: bus.MaxValue, length: 3, packed: []byte("\xff\xff\xff")}
	f.Add(huge.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decode(b)
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Fatal(err)
			}
			return
		}
		if e.size > bus.MaxValue || e.length > maxPacked || e.parts > maxNumParts || e.parts*minPart > e.length+minPart {
			t.Fatalf("beyond all bounds: %+v", e)
		}
		if e.parts > 0 {
			return
		}
		data, err := e.unpack()
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Fatal(err)
			}
			return
		}
		if uint64(len(data)) != e.size {
			t.Fatalf("%d bytes, want %d", len(data), e.size)
		}
		again, err := decode(pack(e.nonce, data).encode())
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := again.unpack(); err != nil || !bytes.Equal(twice, data) || again.nonce != e.nonce {
			t.Fatal("not the same again:", err)
		}
	})
}

func TestEveryDamageIsFound(t *testing.T) {
	for _, data := range [][]byte{[]byte("a small value"), bytes.Repeat([]byte("compressed"), 1000)} {
		good := pack(nonce{}, data).encode()
		for i := range good {
			if 2 <= i && i < 10 {
				continue // the nonce, which is anything
			}
			bad := bytes.Clone(good)
			bad[i] ^= 0x41
			e, err := decode(bad)
			if err == nil {
				_, err = e.unpack()
			}
			if !errors.Is(err, errDamaged) {
				t.Errorf("byte %d: %v", i, err)
			}
		}
		for i := range good {
			if _, err := decode(good[:i]); !errors.Is(err, errDamaged) {
				t.Errorf("%d of %d bytes: %v", i, len(good), err)
			}
		}
	}
	for _, e := range []envelope{
		{size: bus.MaxValue + 1}, {size: math.MaxUint64}, {length: maxPacked + 1},
		{size: 1 << 20, length: 1 << 20, parts: math.MaxUint64}, {size: 10, length: 10, parts: 3},
	} {
		if _, err := decode(e.encode()); !errors.Is(err, errDamaged) {
			t.Errorf("%+v: %v", e, err)
		}
	}
}
