// Package bustest checks that an engine keeps what package bus promises.
package bustest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
)

// Test runs all checks. engine is called for each: it makes an engine without
// tables, and returns what opens a connection to it, which is closed with the test.
func Test(t *testing.T, engine func(t *testing.T) func() bus.Bus) {
	for _, c := range []struct {
		name string
		f    func(*test)
	}{
		{"TablesAreMadeFoundAndDropped", tablesComeAndGo},
		{"OneOfManyCreates", oneCreates},
		{"PutComparesRevisions", putCompares},
		{"OneOfManyWritersWins", oneWins},
		{"EveryIncrementCounts", increments},
		{"DeletedKeysAreGone", deletes},
		{"ListReturnsWhatIsUnderAPrefix", lists},
		{"ValuesOfAllSizesComeBack", sizes},
		{"ValuesAreCopied", copies},
		{"WatchTellsAllThenTheMarkThenChanges", watches},
		{"WatchAlwaysSeesTheLastValue", watchSeesLast},
		{"WatchTellsInTheOrderOfRevisions", watchOrder},
		{"WatchSeesLargeValues", watchLarge},
		{"LargeValuesAreReadWhileTheyAreReplaced", readLarge},
		{"WatchEnds", watchEnds},
		{"ADroppedTableIsGoneForAll", dropped},
		{"MessagesComeInOrder", order},
		{"PatternsMatch", patterns},
		{"RequestsAreAnswered", requests},
		{"NamesAreChecked", names},
		{"ContextsEndCalls", contexts},
		{"ClosedIsClosed", closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			open := engine(t)
			x := &test{T: t, open: func() bus.Bus {
				b := open()
				t.Cleanup(func() { b.Close() })
				return b
			}}
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			t.Cleanup(cancel)
			x.ctx = ctx
			c.f(x)
		})
	}
}

type test struct {
	*testing.T
	ctx  context.Context
	open func() bus.Bus
}

func (t *test) no(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (t *test) is(err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func (t *test) create(b bus.Bus) bus.Table {
	t.Helper()
	table, err := b.Create(t.ctx, "T")
	t.no(err)
	return table
}

func (t *test) put(table bus.Table, key, data string, rev uint64) uint64 {
	t.Helper()
	got, err := table.Put(t.ctx, key, []byte(data), rev)
	t.no(err)
	if got <= rev {
		t.Fatalf("revision %d after %d", got, rev)
	}
	return got
}

func (t *test) want(v bus.Value, key, data string, rev uint64) {
	t.Helper()
	if v.Key != key || string(v.Data) != data || v.Rev != rev || v.Deleted {
		t.Fatalf("%v, want %s = %q at %d", v, key, data, rev)
	}
}

// next is the next value of a watch.
func (t *test) next(w bus.Watch) bus.Value {
	t.Helper()
	select {
	case v, ok := <-w.Updates():
		if !ok {
			t.Fatalf("the watch has ended: %v", w.Err())
		}
		return v
	case <-t.ctx.Done():
		t.Fatal("the watch says nothing")
	}
	panic("unreachable")
}

func (t *test) watch(table bus.Table, prefix string) bus.Watch {
	t.Helper()
	w, err := table.Watch(t.ctx, prefix)
	t.no(err)
	t.Cleanup(w.Stop)
	return w
}

func tablesComeAndGo(t *test) {
	b, other := t.open(), t.open()
	_, err := b.Open(t.ctx, "a")
	t.is(err, bus.ErrNoTable)
	t.is(b.Drop(t.ctx, "a"), bus.ErrNoTable)
	for _, name := range []string{"b", "a", "A-_9"} {
		table, err := b.Create(t.ctx, name)
		t.no(err)
		if table.Name() != name {
			t.Errorf("name %q", table.Name())
		}
	}
	_, err = other.Create(t.ctx, "a")
	t.is(err, bus.ErrExists)
	_, err = b.Create(t.ctx, "a")
	t.is(err, bus.ErrExists)
	names, err := other.Tables(t.ctx)
	t.no(err)
	if want := []string{"A-_9", "a", "b"}; !slices.Equal(names, want) {
		t.Errorf("tables %q, want %q", names, want)
	}
	t.no(other.Drop(t.ctx, "a"))
	_, err = b.Open(t.ctx, "a")
	t.is(err, bus.ErrNoTable)
	table, err := other.Open(t.ctx, "b")
	t.no(err)
	_, err = table.Get(t.ctx, "x")
	t.is(err, bus.ErrNoKey)
}

func oneCreates(t *test) {
	var wg sync.WaitGroup
	made := make(chan bus.Table, 8)
	for range cap(made) {
		b := t.open()
		wg.Go(func() {
			switch table, err := b.Create(t.ctx, "T"); {
			case err == nil:
				made <- table
			case !errors.Is(err, bus.ErrExists):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(made) != 1 {
		t.Errorf("%d made it", len(made))
	}
}

func putCompares(t *test) {
	a := t.create(t.open())
	b, err := t.open().Open(t.ctx, "T")
	t.no(err)
	one := t.put(a, "s.x", "one", 0)
	_, err = b.Put(t.ctx, "s.x", []byte("no"), 0)
	t.is(err, bus.ErrConflict)
	if errors.Is(err, bus.ErrUnknown) {
		t.Error("a conflict with a known outcome is", err)
	}
	two := t.put(b, "s.x", "two", one)
	_, err = a.Put(t.ctx, "s.x", []byte("no"), one)
	t.is(err, bus.ErrConflict)
	_, err = a.Put(t.ctx, "s.x", []byte("no"), two+100)
	t.is(err, bus.ErrConflict)
	_, err = a.Put(t.ctx, "s.y", []byte("no"), two)
	t.is(err, bus.ErrConflict)
	v, err := a.Get(t.ctx, "s.x")
	t.no(err)
	t.want(v, "s.x", "two", two)
	_, err = a.Get(t.ctx, "s.y")
	t.is(err, bus.ErrNoKey)
	if other := t.put(a, "s", "other", 0); other <= two {
		t.Errorf("a revision of the table is %d after %d", other, two)
	}
}

func oneWins(t *test) {
	t.create(t.open())
	var rev uint64
	for round := range 20 {
		var wg sync.WaitGroup
		won := make(chan uint64, 8)
		for i := range cap(won) {
			table, err := t.open().Open(t.ctx, "T")
			t.no(err)
			wg.Go(func() {
				switch got, err := table.Put(t.ctx, "k", fmt.Append(nil, i), rev); {
				case err == nil:
					won <- got
				case !errors.Is(err, bus.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("round %d: %d won", round, len(won))
		}
		rev = <-won
	}
}

func increments(t *test) {
	t.create(t.open())
	var wg sync.WaitGroup
	const writers, each = 4, 25
	for range writers {
		table, err := t.open().Open(t.ctx, "T")
		t.no(err)
		wg.Go(func() {
			for done := 0; done < each; {
				v, err := table.Get(t.ctx, "n")
				if err != nil && !errors.Is(err, bus.ErrNoKey) {
					t.Error(err)
					return
				}
				_, err = table.Put(t.ctx, "n", append(v.Data, '+'), v.Rev)
				switch {
				case err == nil:
					done++
				case !errors.Is(err, bus.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	table, err := t.open().Open(t.ctx, "T")
	t.no(err)
	v, err := table.Get(t.ctx, "n")
	t.no(err)
	if len(v.Data) != writers*each {
		t.Errorf("%d increments, want %d", len(v.Data), writers*each)
	}
}

func deletes(t *test) {
	table := t.create(t.open())
	t.no(table.Delete(t.ctx, "never"))
	one := t.put(table, "k", "one", 0)
	t.no(table.Delete(t.ctx, "k"))
	t.no(table.Delete(t.ctx, "k"))
	_, err := table.Get(t.ctx, "k")
	t.is(err, bus.ErrNoKey)
	all, err := table.List(t.ctx, "")
	t.no(err)
	if len(all) != 0 {
		t.Error("list:", all)
	}
	_, err = table.Put(t.ctx, "k", nil, one)
	t.is(err, bus.ErrConflict)
	w := t.watch(table, "")
	if v := t.next(w); v.Key != "" {
		t.Fatalf("%v, want the mark", v)
	}
	if two := t.put(table, "k", "two", 0); two <= one {
		t.Errorf("revision %d after %d", two, one)
	}
}

func lists(t *test) {
	table := t.create(t.open())
	all, err := table.List(t.ctx, "")
	t.no(err)
	if len(all) != 0 {
		t.Errorf("list of nothing: %v", all)
	}
	want := map[string]uint64{}
	for _, key := range []string{"s.b", "spec", "s.a", "s.a.deep", "t.a", "s"} {
		want[key] = t.put(table, key, "of "+key, 0)
	}
	want["s.a"] = t.put(table, "s.a", "of s.a", want["s.a"])
	for prefix, keys := range map[string][]string{
		"":     {"s", "s.a", "s.a.deep", "s.b", "spec", "t.a"},
		"s.":   {"s.a", "s.a.deep", "s.b"},
		"s.a.": {"s.a.deep"},
		"x.":   nil,
	} {
		all, err := table.List(t.ctx, prefix)
		t.no(err)
		if len(all) != len(keys) {
			t.Fatalf("list %q: %v, want %q", prefix, all, keys)
		}
		for i, key := range keys {
			t.want(all[i], key, "of "+key, want[key])
		}
	}
}

// noise is data that can not be compressed.
func noise(n int) []byte {
	rng := rand.NewChaCha8([32]byte{byte(n)})
	b := make([]byte, n)
	rng.Read(b)
	return b
}
