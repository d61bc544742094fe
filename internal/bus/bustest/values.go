package bustest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hydrawalk/hydra/internal/bus"
)

func sizes(t *test) {
	table := t.create(t.open())
	other, err := t.open().Open(t.ctx, "T")
	t.no(err)
	var rev uint64
	all := []int{0, 1, 4 << 10, 4<<10 + 1, 60 << 10, 64 << 10, 65 << 10, 1 << 20, 1, 9 << 20, 3 << 20, 0}
	if testing.Short() {
		all = all[:9]
	}
	for _, n := range all {
		for _, data := range [][]byte{noise(n), bytes.Repeat([]byte("abc"), n/3)} {
			rev, err = table.Put(t.ctx, "k.x", data, rev)
			t.no(err)
			v, err := other.Get(t.ctx, "k.x")
			t.no(err)
			if !bytes.Equal(v.Data, data) || v.Rev != rev {
				t.Fatalf("%d bytes are not what was put", n)
			}
		}
	}
}

func copies(t *test) {
	table := t.create(t.open())
	data := []byte("abc")
	_, err := table.Put(t.ctx, "k", data, 0)
	t.no(err)
	copy(data, "xxx")
	for range 2 {
		v, err := table.Get(t.ctx, "k")
		t.no(err)
		if string(v.Data) != "abc" {
			t.Fatalf("%q", v.Data)
		}
		copy(v.Data, "yyy")
	}
}

func watches(t *test) {
	table := t.create(t.open())
	other, err := t.open().Open(t.ctx, "T")
	t.no(err)
	a := t.put(table, "s.a", "a", 0)
	b := t.put(table, "s.b", "b", 0)
	t.put(table, "spec", "spec", 0)
	a = t.put(table, "s.a", "a2", a)
	w := t.watch(other, "s.")
	first := []bus.Value{t.next(w), t.next(w)}
	slices.SortFunc(first, func(x, y bus.Value) int { return bytes.Compare([]byte(x.Key), []byte(y.Key)) })
	t.want(first[0], "s.a", "a2", a)
	t.want(first[1], "s.b", "b", b)
	if v := t.next(w); v.Key != "" || v.Data != nil || v.Rev != 0 || v.Deleted {
		t.Fatalf("%v, want the mark", v)
	}
	t.put(table, "spec2", "no", 0)
	a = t.put(table, "s.a", "a3", a)
	t.want(t.next(w), "s.a", "a3", a)
	c := t.put(table, "s.c.d", "c", 0)
	t.want(t.next(w), "s.c.d", "c", c)
	t.no(table.Delete(t.ctx, "s.b"))
	if v := t.next(w); v.Key != "s.b" || !v.Deleted || v.Rev <= c || v.Data != nil {
		t.Fatalf("%v, want s.b deleted after %d", v, c)
	}
	b = t.put(table, "s.b", "b2", 0)
	t.want(t.next(w), "s.b", "b2", b)

	empty := t.watch(other, "none.")
	if v := t.next(empty); v.Key != "" {
		t.Fatalf("%v, want the mark", v)
	}
	w.Stop()
	w.Stop()
	for range w.Updates() {
	}
	t.no(w.Err())
}

// Several writers change their keys as fast as they can, while watches begin.
func watchSeesLast(t *test) {
	t.create(t.open())
	const writers, each = 4, 50
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range writers {
		table, err := t.open().Open(t.ctx, "T")
		t.no(err)
		wg.Go(func() {
			var rev uint64
			for n := range each {
				var err error
				if rev, err = table.Put(t.ctx, fmt.Sprint("w.", i), fmt.Append(nil, n), rev); err != nil {
					t.Error(err)
					return
				}
				if i == 0 && n == each/2 {
					close(begin)
				}
			}
		})
	}
	for i := range 4 {
		table, err := t.open().Open(t.ctx, "T")
		t.no(err)
		if i%2 == 1 {
			<-begin
		}
		w := t.watch(table, "w.")
		wg.Go(func() {
			last, revs, marks := map[string]string{}, map[string]uint64{}, 0
			for done := 0; done < writers || marks == 0; {
				select {
				case v := <-w.Updates():
					if v.Key == "" {
						marks++
						continue
					}
					if v.Rev <= revs[v.Key] {
						t.Errorf("%s: revision %d after %d", v.Key, v.Rev, revs[v.Key])
						return
					}
					last[v.Key], revs[v.Key] = string(v.Data), v.Rev
					if string(v.Data) == fmt.Sprint(each-1) {
						done++
					}
				case <-t.ctx.Done():
					t.Errorf("watch %d: seen %v, %d marks", i, last, marks)
					return
				}
			}
			if marks != 1 {
				t.Errorf("%d marks", marks)
			}
		})
	}
	wg.Wait()
}

// Several writers write many keys once, and remove some, while watches begin.
func watchOrder(t *test) {
	t.create(t.open())
	const writers, each = 4, 40
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range writers {
		table, err := t.open().Open(t.ctx, "T")
		t.no(err)
		wg.Go(func() {
			for n := range each {
				// Not in the order of their names, and some too large for a message.
				key, size := fmt.Sprintf("w.%d.%d", i, 1000-n), 10
				if n%20 == 7 {
					size = 200 << 10
				}
				if _, err := table.Put(t.ctx, key, noise(size), 0); err != nil {
					t.Error(err)
					return
				}
				if n%5 == 4 {
					if err := table.Delete(t.ctx, key); err != nil {
						t.Error(err)
						return
					}
				}
				if i == 0 && n == each/2 {
					close(begin)
				}
			}
		})
	}
	for i := range 4 {
		table, err := t.open().Open(t.ctx, "T")
		t.no(err)
		if i%2 == 1 {
			<-begin
		}
		w := t.watch(table, "w.")
		wg.Go(func() {
			for last, seen, marked := uint64(0), 0, false; seen < writers || !marked; {
				select {
				case v := <-w.Updates():
					switch {
					case v.Key == "":
						marked = true
						continue
					case v.Rev <= last:
						t.Errorf("watch %d: %s at %d after %d", i, v.Key, v.Rev, last)
						return
					}
					last = v.Rev
					if strings.HasSuffix(v.Key, fmt.Sprint(".", 1000-each+2)) && !v.Deleted {
						seen++ // the last one that stays
					}
				case <-t.ctx.Done():
					t.Errorf("watch %d says nothing", i)
					return
				}
			}
		})
	}
	wg.Wait()
}

// The reader is slower than the writer, whose values are large and so deleted while
// they are read.
func watchLarge(t *test) {
	table := t.create(t.open())
	other, err := t.open().Open(t.ctx, "T")
	t.no(err)
	w := t.watch(other, "")
	for t.next(w).Key != "" {
	}
	rounds, size := 10, 3<<20
	if testing.Short() {
		rounds, size = 4, 300<<10
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		var rev uint64
		for n := range rounds {
			var err error
			if rev, err = table.Put(t.ctx, "k", noise(size+n), rev); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer wg.Wait()
	for n, rev := 0, uint64(0); n < rounds-1; {
		v := t.next(w)
		if v.Rev <= rev || len(v.Data) < size+n || !bytes.Equal(v.Data, noise(len(v.Data))) {
			t.Fatalf("%d bytes at %d, after %d", len(v.Data), v.Rev, rev)
		}
		n, rev = len(v.Data)-size, v.Rev
	}
}

func readLarge(t *test) {
	table := t.create(t.open())
	other, err := t.open().Open(t.ctx, "T")
	t.no(err)
	const size, rounds = 250 << 10, 20
	rev, err := table.Put(t.ctx, "k", noise(size), 0)
	t.no(err)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for n := range rounds {
			var err error
			if rev, err = table.Put(t.ctx, "k", noise(size+n), rev); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer wg.Wait()
	for last := uint64(0); ; {
		v, err := other.Get(t.ctx, "k")
		t.no(err)
		all, err := other.List(t.ctx, "")
		t.no(err)
		if len(all) != 1 || v.Rev < last || all[0].Rev < v.Rev {
			t.Fatalf("revision %d after %d, then %v", v.Rev, last, all)
		}
		last = all[0].Rev
		for _, data := range [][]byte{v.Data, all[0].Data} {
			if !bytes.Equal(data, noise(len(data))) {
				t.Fatal("a mixture of values")
			}
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func watchEnds(t *test) {
	b := t.open()
	table := t.create(b)
	t.put(table, "a", "1", 0)
	ctx, cancel := context.WithCancel(t.ctx)
	unread, err := table.Watch(ctx, "")
	t.no(err)
	cancel()
	for range unread.Updates() {
	}
	t.is(unread.Err(), context.Canceled)
	open := t.watch(table, "")
	t.no(b.Close())
	for range open.Updates() {
	}
	t.is(open.Err(), bus.ErrClosed)
}

func dropped(t *test) {
	b, other := t.open(), t.open()
	old := t.create(b)
	rev := t.put(old, "k", "old", 0)
	w := t.watch(old, "")
	for t.next(w).Key != "" {
	}
	t.no(other.Drop(t.ctx, "T"))
	again := t.create(other)
	for range 5 {
		t.put(again, "k", "new", 0)
		t.no(again.Delete(t.ctx, "k"))
	}
	t.put(again, "k", "new", 0)
	_, err := old.Get(t.ctx, "k")
	t.is(err, bus.ErrNoTable)
	_, err = old.Put(t.ctx, "k", nil, rev)
	t.is(err, bus.ErrNoTable)
	_, err = old.Put(t.ctx, "k", noise(2<<20), 0)
	t.is(err, bus.ErrNoTable)
	t.is(old.Delete(t.ctx, "k"), bus.ErrNoTable)
	_, err = old.List(t.ctx, "")
	t.is(err, bus.ErrNoTable)
	_, err = old.Watch(t.ctx, "")
	t.is(err, bus.ErrNoTable)
	for v := range w.Updates() {
		if string(v.Data) == "new" {
			t.Errorf("a watch of the old table says %v", v)
		}
	}
	t.is(w.Err(), bus.ErrNoTable)
}
