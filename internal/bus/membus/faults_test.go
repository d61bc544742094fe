package membus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
)

// bubble runs f with an engine that is closed at last.
func bubble(t *testing.T, f func(t *testing.T, e *Engine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := New(rand.New(rand.NewPCG(3, 4)))
		defer e.Close()
		f(t, e)
	})
}

func create(t *testing.T, h *Handle) bus.Table {
	t.Helper()
	table, err := h.Create(t.Context(), "T")
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func open(t *testing.T, h *Handle) bus.Table {
	t.Helper()
	table, err := h.Open(t.Context(), "T")
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func follow(t *testing.T, table bus.Table) bus.Watch {
	t.Helper()
	w, err := table.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for v := range w.Updates() {
		if v.Key == "" {
			break
		}
	}
	return w
}

func put(t *testing.T, table bus.Table, key, data string, rev uint64) uint64 {
	t.Helper()
	rev, err := table.Put(t.Context(), key, []byte(data), rev)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func TestAPartitionEndsPutsAndDelaysTheRest(t *testing.T) {
	bubble(t, func(t *testing.T, e *Engine) {
		near, far := e.Open(), e.Open()
		table := create(t, near)
		rev := put(t, table, "k", "one", 0)
		cut := open(t, far)
		w := follow(t, cut)
		var got []string
		if _, err := far.Subscribe("s", func(m bus.Msg) { got = append(got, string(m.Data)) }); err != nil {
			t.Fatal(err)
		}
		_, changed := far.Connected()
		far.Cut()
		<-changed
		begin := time.Now()
		if _, err := cut.Put(t.Context(), "k", nil, rev); !errors.Is(err, bus.ErrUnknown) {
			t.Errorf("put: %v", err)
		}
		if d := time.Since(begin); d != 5*time.Second {
			t.Errorf("put gave up after %v", d)
		}
		near.Publish("s", []byte("lost"))
		far.Publish("s", []byte("lost"))
		rev = put(t, table, "k", "two", rev)
		rev = put(t, table, "k", "three", rev)
		time.AfterFunc(time.Hour, far.Heal)
		if v, err := cut.Get(t.Context(), "k"); err != nil || v.Rev != rev || time.Since(begin) < time.Hour {
			t.Errorf("get: %v %v", v, err)
		}
		if v := <-w.Updates(); v.Rev != rev {
			t.Errorf("watch: %v, want only what is last", v)
		}
		near.Publish("s", []byte("new"))
		synctest.Wait()
		if fmt.Sprint(got) != "[new]" {
			t.Errorf("messages %q", got)
		}
	})
}

func TestAFrozenHandleDoesNothingUntilThawed(t *testing.T) {
	bubble(t, func(t *testing.T, e *Engine) {
		a, b := e.Open(), e.Open()
		table := create(t, a)
		w := follow(t, open(t, b))
		heard := 0
		if _, err := b.Subscribe("s", func(bus.Msg) { heard++ }); err != nil {
			t.Fatal(err)
		}
		b.Freeze()
		rev := put(t, table, "k", "one", 0)
		a.Publish("s", nil)
		a.Publish("s", nil)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := open(t, b).Put(t.Context(), "k", nil, rev); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Hour)
		select {
		case v := <-w.Updates():
			t.Errorf("watch: %v", v)
		default:
		}
		if v, err := table.Get(t.Context(), "k"); err != nil || v.Rev != rev || heard != 0 {
			t.Errorf("%v %v, %d messages", v, err, heard)
		}
		b.Thaw()
		wg.Wait()
		for v := range w.Updates() {
			if v.Rev > rev {
				break
			}
		}
		synctest.Wait()
		if heard != 2 {
			t.Errorf("%d messages after the thaw", heard)
		}
	})
}

func TestAKilledHandleIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T, e *Engine) {
		e.SetFaults(Faults{Delay: func(*rand.Rand) time.Duration { return time.Second }})
		h := e.Open()
		table := create(t, h)
		w, err := table.Watch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(500*time.Millisecond, h.Kill)
		if _, err := table.Put(t.Context(), "k", nil, 0); !errors.Is(err, bus.ErrClosed) || !errors.Is(err, bus.ErrUnknown) {
			t.Errorf("put: %v", err)
		}
		for range w.Updates() {
		}
		if !errors.Is(w.Err(), bus.ErrClosed) {
			t.Errorf("watch: %v", w.Err())
		}
		if err := h.Publish("s", nil); !errors.Is(err, bus.ErrClosed) {
			t.Errorf("publish: %v", err)
		}
	})
}

func TestTablesOutliveARestartAndNotALoss(t *testing.T) {
	bubble(t, func(t *testing.T, e *Engine) {
		h := e.Open()
		table := create(t, h)
		rev := put(t, table, "k", "v", 0)
		w := follow(t, table)
		e.Stop()
		if up, _ := h.Connected(); up {
			t.Error("connected to an engine that is down")
		}
		time.AfterFunc(time.Minute, e.Start)
		if v, err := table.Get(t.Context(), "k"); err != nil || v.Rev != rev {
			t.Errorf("%v %v", v, err)
		}
		rev = put(t, table, "k", "w", rev)
		if v := <-w.Updates(); v.Rev != rev {
			t.Errorf("watch: %v", v)
		}
		e.Lose()
		if _, err := table.Get(t.Context(), "k"); !errors.Is(err, bus.ErrNoTable) {
			t.Errorf("get: %v", err)
		}
		for range w.Updates() {
		}
		if !errors.Is(w.Err(), bus.ErrNoTable) {
			t.Errorf("watch: %v", w.Err())
		}
	})
}

// Counters are incremented by compare-and-set through all faults: what is in
// the table is what succeeded, and at most what is unknown besides.
func TestNothingIsLostButWhatIsUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, e *Engine) {
		table := create(t, e.Open())
		e.SetFaults(Faults{
			Delay:   func(r *rand.Rand) time.Duration { return time.Duration(r.ExpFloat64() * float64(5*time.Millisecond)) },
			LostPut: 0.05, LatePut: 0.05, LostAck: 0.05, LostRead: 0.02, Loss: 0.1,
		})
		stop := make(chan struct{})
		var chaos, wg sync.WaitGroup
		var mu sync.Mutex
		sure, unknown, conflicts := 0, 0, 0
		var all []*Handle
		for range 50 {
			all = append(all, e.Open())
		}
		chaos.Go(func() {
			r := rand.New(rand.NewPCG(5, 6))
			for {
				h := all[r.IntN(len(all))]
				do := [][2]func(){{h.Cut, h.Heal}, {h.Freeze, h.Thaw}, {e.Stop, e.Start}}[r.IntN(3)]
				do[0]()
				time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
				do[1]()
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		w := follow(t, open(t, all[0]))
		for _, h := range all {
			table := open(t, h)
			wg.Go(func() {
				for range 20 {
					v, err := table.Get(t.Context(), "n")
					if err != nil && !errors.Is(err, bus.ErrNoKey) {
						t.Error(err)
						return
					}
					_, err = table.Put(t.Context(), "n", append(v.Data, '+'), v.Rev)
					mu.Lock()
					switch {
					case err == nil:
						sure++
					case errors.Is(err, bus.ErrConflict):
						conflicts++
					case errors.Is(err, bus.ErrUnknown):
						unknown++
					default:
						t.Error(err)
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		close(stop)
		chaos.Wait()
		time.Sleep(time.Minute) // what is late
		v, err := table.Get(t.Context(), "n")
		if err != nil {
			t.Fatal(err)
		}
		if n := len(v.Data); n < sure || n > sure+unknown || sure == 0 || unknown == 0 || conflicts == 0 {
			t.Errorf("%d increments; %d are sure, %d unknown, %d conflicts", n, sure, unknown, conflicts)
		}
		for last := uint64(0); last < v.Rev; {
			u := <-w.Updates()
			if u.Rev <= last {
				t.Fatalf("watch: revision %d after %d", u.Rev, last)
			}
			last = u.Rev
		}
	})
}

func TestEachKindOfLossHappens(t *testing.T) {
	bubble(t, func(t *testing.T, e *Engine) {
		h := e.Open()
		table := create(t, h)
		for _, c := range []struct {
			faults     Faults
			now, later string
		}{
			{Faults{LostPut: 1}, "old", "old"},
			{Faults{LatePut: 1}, "old", "new"},
			{Faults{LostAck: 1}, "new", "new"},
		} {
			e.SetFaults(Faults{})
			v, _ := table.Get(t.Context(), "k")
			rev := put(t, table, "k", "old", v.Rev)
			c.faults.Timeout = time.Second
			e.SetFaults(c.faults)
			if _, err := table.Put(t.Context(), "k", []byte("new"), rev); !errors.Is(err, bus.ErrUnknown) {
				t.Errorf("%+v: %v", c.faults, err)
			}
			for _, want := range []string{c.now, c.later} {
				if v, err := table.Get(t.Context(), "k"); err != nil || string(v.Data) != want {
					t.Errorf("%+v: %q, want %q; %v", c.faults, v.Data, want, err)
				}
				time.Sleep(3 * time.Second)
			}
		}
		heard := 0
		if _, err := h.Subscribe("s", func(bus.Msg) { heard++ }); err != nil {
			t.Fatal(err)
		}
		e.SetFaults(Faults{Loss: 0.3})
		for range 1000 {
			h.Publish("s", nil)
		}
		synctest.Wait()
		if heard < 400 || heard > 580 { // 490
			t.Errorf("%d of 1000 messages", heard)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		e.SetFaults(Faults{Loss: 1})
		if _, err := h.Request(ctx, "s", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("request: %v", err)
		}
	})
}

func TestDelayedMessagesKeepTheirOrder(t *testing.T) {
	bubble(t, func(t *testing.T, e *Engine) {
		e.SetFaults(Faults{Delay: func(r *rand.Rand) time.Duration { return time.Duration(r.IntN(int(time.Second))) }})
		a, b := e.Open(), e.Open()
		got := make(chan byte, 100)
		if _, err := b.Subscribe("s", func(m bus.Msg) { got <- m.Data[0] }); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for i := range byte(100) {
			a.Publish("s", []byte{i})
		}
		for i := range byte(100) {
			if x := <-got; x != i {
				t.Fatalf("message %d, want %d", x, i)
			}
		}
		if d := time.Since(begin); d < time.Second || d > 2*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

func TestAThousandHandles(t *testing.T) {
	bubble(t, func(t *testing.T, e *Engine) {
		create(t, e.Open())
		e.SetFaults(Faults{Delay: func(*rand.Rand) time.Duration { return time.Millisecond }})
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				h := e.Open()
				table := open(t, h)
				w := follow(t, table)
				var heard sync.WaitGroup
				heard.Add(10)
				if _, err := h.Subscribe(fmt.Sprint("to.", (i+1)%1000), func(bus.Msg) { heard.Done() }); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second) // all are there
				for range 10 {
					h.Publish(fmt.Sprint("to.", i), nil)
				}
				heard.Wait()
				w.Stop()
			})
		}
		wg.Wait()
	})
}

func BenchmarkMessage(b *testing.B) {
	e := New(nil)
	defer e.Close()
	from, to := e.Open(), e.Open()
	done := make(chan struct{}, queueBound)
	if _, err := to.Subscribe("a.*", func(bus.Msg) { done <- struct{}{} }); err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 100)
	waiting := 0
	for b.Loop() {
		from.Publish("a.b", data)
		if waiting++; waiting == 1000 {
			for ; waiting > 0; waiting-- {
				<-done
			}
		}
	}
}
