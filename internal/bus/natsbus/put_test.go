package natsbus

import (
	"bytes"
	"errors"
	"testing"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/natsd"
)

// stored is how many messages a table is.
func stored(t *testing.T, table *Table) uint64 {
	t.Helper()
	info, err := table.info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Msgs
}

func TestPartsThatAreOfNoUseAreDeleted(t *testing.T) {
	s := server(t, natsd.Options{MaxPayload: 64 << 10})
	table := create(t, connect(t, Options{InProcess: s}))
	size := table.b.partSize()
	var rev uint64
	put := func(x *Table, n int) {
		t.Helper()
		var err error
		if rev, err = x.Put(t.Context(), "a.b", random(n), rev); err != nil {
			t.Fatal(err)
		}
	}
	want := func(n uint64) {
		t.Helper()
		if got := stored(t, table); got != n {
			t.Fatalf("%d messages, want %d", got, n)
		}
	}
	if _, err := table.Put(t.Context(), "a", random(2*size), 0); err != nil { // not below a.b, nor above
		t.Fatal(err)
	}
	want(3)
	put(table, 100)
	want(4)
	put(table, 3*size)
	want(7)
	put(table, 2*size)
	want(6)
	put(table, 10)
	want(4)
	// Attempts that came to nothing, of this process and of another.
	other := open(t, connect(t, Options{InProcess: s}))
	lost := pack(newNonce(), random(3*size)).split(size)
	if _, err := other.putParts(t.Context(), "a.b", newNonce(), lost); err != nil {
		t.Fatal(err)
	}
	want(7)
	put(other, 10)
	want(4)
	if _, err := other.putParts(t.Context(), "a.b", newNonce(), lost); err != nil {
		t.Fatal(err)
	}
	put(other, 2*size)
	want(6)
	if err := other.Delete(t.Context(), "a.b"); err != nil {
		t.Fatal(err)
	}
	want(4)
	if v, err := other.Get(t.Context(), "a"); err != nil || !bytes.Equal(v.Data, random(2*size)) {
		t.Error("the value of another key:", err)
	}
}

// Others may put the parts of the next value before a Put has swept.
func TestSweepingSparesThePartsOfTheNextValue(t *testing.T) {
	s := server(t, natsd.Options{MaxPayload: 64 << 10})
	table := create(t, connect(t, Options{InProcess: s}))
	rev, err := table.commit(t.Context(), "k", pack(newNonce(), []byte("one")), 0)
	if err != nil {
		t.Fatal(err)
	}
	data := random(300 << 10)
	next := pack(newNonce(), data)
	if _, err := table.putParts(t.Context(), "k", next.nonce, next.split(table.b.partSize())); err != nil {
		t.Fatal(err)
	}
	table.sweep(t.Context(), "k", 0, rev, 0)
	if _, err := table.commit(t.Context(), "k", next, rev); err != nil {
		t.Fatal(err)
	}
	if v, err := table.Get(t.Context(), "k"); err != nil || !bytes.Equal(v.Data, data) {
		t.Error(err)
	}
}

func TestAValueWithoutItsPartsIsDamaged(t *testing.T) {
	s := server(t, natsd.Options{MaxPayload: 64 << 10})
	table := create(t, connect(t, Options{InProcess: s}))
	e := pack(newNonce(), random(300<<10))
	e.split(table.b.partSize())
	if _, err := table.commit(t.Context(), "k", e, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := table.Get(t.Context(), "k"); !errors.Is(err, errDamaged) {
		t.Errorf("get: %v", err)
	}
	w, err := table.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for range w.Updates() {
	}
	if !errors.Is(w.Err(), errDamaged) {
		t.Errorf("watch: %v", w.Err())
	}
}

func TestAnAttemptThatConflictsWithItselfIsDone(t *testing.T) {
	s := server(t, natsd.Options{})
	table := create(t, connect(t, Options{InProcess: s, Memory: true}))
	e := pack(newNonce(), []byte("v"))
	one, err := table.commit(t.Context(), "k", e, 0)
	if err != nil {
		t.Fatal(err)
	}
	two, err := table.commit(t.Context(), "k", e, 0)
	if err != nil || two != one {
		t.Errorf("revision %d, want %d; %v", two, one, err)
	}
}

func TestHundredMebibytes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	s := server(t, natsd.Options{Listen: "127.0.0.1:0", User: "u", Password: "p", MaxPayload: 64 << 10})
	table := create(t, connect(t, Options{URL: s.URL(), User: "u", Password: "p"}))
	data := random(100 << 20)
	rev, err := table.Put(t.Context(), "k", data, 0)
	if err != nil {
		t.Fatal(err)
	}
	v, err := table.Get(t.Context(), "k")
	if err != nil || !bytes.Equal(v.Data, data) {
		t.Fatal(err)
	}
	w, err := table.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if v := <-w.Updates(); v.Rev != rev || !bytes.Equal(v.Data, data) {
		t.Errorf("watch: %d bytes", len(v.Data))
	}
	if _, err := table.Put(t.Context(), "k", make([]byte, bus.MaxValue+1), rev); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("more than is allowed: %v", err)
	}
	if _, err := table.Put(t.Context(), "k", nil, rev); err != nil {
		t.Error(err)
	}
	if got := stored(t, table); got != 1 {
		t.Errorf("%d messages are left", got)
	}
}

// The message of a value has come to a watch, which is not read, when the value is
// replaced and its parts are deleted.
func TestAWatchPassesOverAValueThatIsReplacedWhileItWaits(t *testing.T) {
	s := server(t, natsd.Options{MaxPayload: 64 << 10})
	table := create(t, connect(t, Options{InProcess: s}))
	if _, err := table.Put(t.Context(), "first", nil, 0); err != nil {
		t.Fatal(err)
	}
	rev, err := table.Put(t.Context(), "k", random(200<<10), 0)
	if err != nil {
		t.Fatal(err)
	}
	w, err := table.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	stream, err := table.b.js.Stream(t.Context(), streamPrefix+table.name)
	if err != nil {
		t.Fatal(err)
	}
	for delivered := false; !delivered; {
		list := stream.ListConsumers(t.Context())
		for info := range list.Info() {
			delivered = info.Delivered.Stream == rev
		}
		if err := list.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if rev, err = table.Put(t.Context(), "k", random(300<<10), rev); err != nil {
		t.Fatal(err)
	}
	for v := range w.Updates() {
		if v.Key == "k" {
			if v.Rev != rev {
				t.Errorf("revision %d, want %d", v.Rev, rev)
			}
			return
		}
	}
	t.Error(w.Err())
}
