package natsbus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/natsd"
	"github.com/hydrawalk/hydra/internal/testaddr"
)

func create(t *testing.T, b *Bus) *Table {
	t.Helper()
	table, err := b.Create(t.Context(), "T")
	if err != nil {
		t.Fatal(err)
	}
	return table.(*Table)
}

func open(t *testing.T, b *Bus) *Table {
	t.Helper()
	table, err := b.Open(t.Context(), "T")
	if err != nil {
		t.Fatal(err)
	}
	return table.(*Table)
}

// A writer and a watch go on, while the engine is killed and started again: no Put
// fails, none is done twice, and the watch sees the end.
func TestWritersAndWatchesSurviveKillsOfTheEngine(t *testing.T) {
	kills, puts := 4, 60
	if testing.Short() {
		kills, puts = 2, 30
	}
	e := startEngine(t)
	writer := create(t, connect(t, e.options()))
	watcher := open(t, connect(t, e.options()))
	w, err := watcher.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	progress := make(chan int, puts)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer close(progress)
		var rev uint64
		for n := range puts {
			data := bytes.Repeat(fmt.Appendf(nil, "%03d.", n), 1+(n%3)*1000)
			if n%10 == 9 {
				data = append(data, random(200<<10)...) // several parts
			}
			got, err := writer.Put(t.Context(), "k", data, rev)
			if err != nil {
				t.Errorf("put %d: %v", n, err)
				return
			}
			rev = got
			progress <- n
		}
	})
	wg.Go(func() {
		for range kills {
			for range puts / (kills + 1) {
				if _, ok := <-progress; !ok {
					return
				}
			}
			e.kill()
			e.start()
		}
	})
	end := fmt.Sprintf("%03d.", puts-1)
	var rev uint64
	for {
		select {
		case v, ok := <-w.Updates():
			if !ok {
				t.Fatal(w.Err())
			}
			if v.Key != "" && v.Rev <= rev {
				t.Fatalf("revision %d after %d", v.Rev, rev)
			}
			rev = max(rev, v.Rev)
			if bytes.HasPrefix(v.Data, []byte(end)) {
				return
			}
		case <-time.After(time.Minute):
			t.Fatalf("no end, last revision %d", rev)
		}
	}
}

func random(n int) []byte {
	rng := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	rng.Read(b)
	return b
}

// Connections are cut again and again, often with answers under way. A single
// writer never sees a conflict, and what Put returned is there.
func TestPutIsDoneOnceWhenConnectionsAreCut(t *testing.T) {
	s := server(t, natsd.Options{Listen: "127.0.0.1:0", User: "u", Password: "p", MaxPayload: 64 << 10})
	p := startProxy(t, s.Addr().String())
	direct := create(t, connect(t, Options{URL: s.URL(), User: "u", Password: "p"}))
	table := open(t, connect(t, Options{URL: "nats://" + p.l.Addr().String(), User: "u", Password: "p"}))
	w, err := table.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	var seen []byte
	marked := make(chan struct{})
	done := make(chan struct{})
	rounds := 40
	if testing.Short() {
		rounds = 12
	}
	go func() {
		defer close(done)
		for v := range w.Updates() {
			if v.Key == "" {
				close(marked)
				continue
			}
			if seen = v.Data; len(v.Data) == 100_000+rounds {
				return
			}
		}
	}()
	<-marked
	var rev uint64
	data := random(100_000) // two parts
	for n := range rounds {
		data = append(data, 'x')
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 1 + n%3 { // cut at various stages
				p.deafen()
				select {
				case <-time.After(time.Duration(n%7) * time.Millisecond):
				case <-stop:
				}
				p.cut()
				select {
				case <-time.After(time.Duration(n%5) * 30 * time.Millisecond):
				case <-stop:
					return
				}
			}
		})
		got, err := table.Put(t.Context(), "k", data, rev)
		close(stop)
		wg.Wait()
		if err != nil {
			t.Fatalf("put %d: %v", n, err)
		}
		if got <= rev {
			t.Fatalf("revision %d after %d", got, rev)
		}
		rev = got
		v, err := direct.Get(t.Context(), "k")
		if err != nil || v.Rev != rev || !bytes.Equal(v.Data, data) {
			t.Fatalf("get %d: revision %d, want %d; %v", n, v.Rev, rev, err)
		}
	}
	<-done
	if !bytes.Equal(seen, data) {
		t.Error("the watch saw something else last:", w.Err())
	}
}

// The answer to the first attempt is lost for certain.
func TestAPutWhoseAnswerIsLostFindsThatItWasDone(t *testing.T) {
	s := server(t, natsd.Options{Listen: "127.0.0.1:0", User: "u", Password: "p"})
	p := startProxy(t, s.Addr().String())
	direct := create(t, connect(t, Options{URL: s.URL(), User: "u", Password: "p"}))
	w, err := direct.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	<-w.Updates() // the mark
	table := open(t, connect(t, Options{URL: "nats://" + p.l.Addr().String(), User: "u", Password: "p"}))
	p.deafen()
	var wg sync.WaitGroup
	wg.Go(func() {
		if v := <-w.Updates(); string(v.Data) != "done" {
			t.Errorf("%v", v)
		}
		p.cut()
	})
	rev, err := table.Put(t.Context(), "k", []byte("done"), 0)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if v, err := direct.Get(t.Context(), "k"); err != nil || v.Rev != rev {
		t.Errorf("revision %d, want %d; %v", v.Rev, rev, err)
	}
	// The same, but somebody else is faster than the second attempt.
	p.deafen()
	wg.Go(func() {
		v := <-w.Updates()
		if _, err := direct.Put(t.Context(), "k", []byte("other"), v.Rev); err != nil {
			t.Error(err)
		}
		p.cut()
	})
	_, err = table.Put(t.Context(), "k", []byte("again"), rev)
	wg.Wait()
	if !errors.Is(err, bus.ErrUnknown) || errors.Is(err, bus.ErrConflict) {
		t.Errorf("error %v, want an unknown outcome", err)
	}
}

func TestAnEngineThatLostItsStoreHasNoTable(t *testing.T) {
	e := startEngine(t)
	b := connect(t, e.options())
	table := create(t, b)
	if _, err := table.Put(t.Context(), "k", []byte("v"), 0); err != nil {
		t.Fatal(err)
	}
	w, err := table.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	<-w.Updates()
	_, changed := b.Connected()
	e.kill()
	<-changed
	if err := os.RemoveAll(e.dir); err != nil {
		t.Fatal(err)
	}
	e.start()
	for range w.Updates() {
	}
	if !errors.Is(w.Err(), bus.ErrNoTable) {
		t.Errorf("watch: %v", w.Err())
	}
	if _, err := b.Open(t.Context(), "T"); !errors.Is(err, bus.ErrNoTable) {
		t.Errorf("open: %v", err)
	}
	if _, err := table.Put(t.Context(), "k", nil, 1); !errors.Is(err, bus.ErrNoTable) {
		t.Errorf("put: %v", err)
	}
	if _, err := table.Get(t.Context(), "k"); !errors.Is(err, bus.ErrNoTable) {
		t.Errorf("get: %v", err)
	}
}

func TestMessagesComeAgainAfterARestart(t *testing.T) {
	e := startEngine(t)
	a, b := connect(t, e.options()), connect(t, e.options())
	got := make(chan string, 1000)
	if _, err := b.Subscribe("s", func(m bus.Msg) { got <- string(m.Data) }); err != nil {
		t.Fatal(err)
	}
	_, changed := a.Connected()
	e.kill()
	<-changed
	if err := a.Publish("s", []byte("late")); err != nil {
		t.Error("publish while there is no engine:", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := a.Request(ctx, "s", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("request while there is no engine:", err)
	}
	if _, err := a.Open(ctx, "T"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("open while there is no engine:", err)
	}
	e.start()
	for _, x := range []*Bus{a, b} {
		if err := x.reach(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.nc.Flush(); err != nil { // all is subscribed again
		t.Fatal(err)
	}
	if err := a.Publish("s", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if m := <-got; m != "new" {
		t.Errorf("got %q: a hint from before the restart", m)
	}
}

// A watch is not read while its values are replaced by others, in all far more than
// what may wait for it.
func TestAWatchThatIsNotReadMissesNoLastValue(t *testing.T) {
	s := server(t, natsd.Options{Listen: "127.0.0.1:0", User: "u", Password: "p", MaxPayload: 1 << 20})
	o := Options{URL: s.URL(), User: "u", Password: "p"}
	writer := create(t, connect(t, o))
	reader := connect(t, o)
	w, err := open(t, reader).Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	<-w.Updates()
	_, changed := reader.Connected()
	rounds := 60
	if testing.Short() {
		rounds = 20
	}
	last := map[string]uint64{}
	for n := range rounds {
		key := fmt.Sprint("k", n%5)
		rev, err := writer.Put(t.Context(), key, random(900<<10+n*10_000), last[key])
		if err != nil {
			t.Fatal(err)
		}
		last[key] = rev
	}
	for len(last) > 0 {
		v := <-w.Updates()
		if last[v.Key] == v.Rev {
			delete(last, v.Key)
		}
	}
	select {
	case <-changed:
		t.Error("the connection was lost")
	default:
	}
}

// An engine is back with its tables as they were before.
func TestAWatchOfATableThatLostItsEndEnds(t *testing.T) {
	dir, backup := filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "backup")
	if err := os.Mkdir(backup, 0o700); err != nil {
		t.Fatal(err)
	}
	addr, err := testaddr.Free()
	if err != nil {
		t.Fatal(err)
	}
	o := natsd.Options{Listen: addr, StateDir: dir, User: "u", Password: "p"}
	s := server(t, o)
	b := connect(t, Options{URL: s.URL(), User: "u", Password: "p"})
	table := create(t, b)
	rev, err := table.Put(t.Context(), "k", []byte("one"), 0)
	if err != nil {
		t.Fatal(err)
	}
	s.Shutdown()
	if err := os.CopyFS(backup, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	s = server(t, o)
	w, err := table.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table.Put(t.Context(), "k", []byte("two"), rev); err != nil {
		t.Fatal(err)
	}
	for v := range w.Updates() {
		if string(v.Data) == "two" {
			break
		}
	}
	s.Shutdown()
	o.StateDir = backup
	server(t, o)
	for v := range w.Updates() {
		if v.Key != "" { // the mark may come late
			t.Errorf("%v", v)
		}
	}
	if !errors.Is(w.Err(), bus.ErrNoTable) {
		t.Errorf("watch: %v", w.Err())
	}
}

// A key was delivered, and is deleted before all others were.
func TestADeletionBeforeTheMarkIsTold(t *testing.T) {
	s := server(t, natsd.Options{})
	table := create(t, connect(t, Options{InProcess: s}))
	const keys = 4 * pullBytes / (900 << 10)
	for n := range keys {
		if _, err := table.Put(t.Context(), fmt.Sprint("k", n), random(900<<10), 0); err != nil {
			t.Fatal(err)
		}
	}
	w, err := table.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if v := <-w.Updates(); v.Key != "k0" {
		t.Fatalf("%s is first", v.Key)
	}
	if err := table.Delete(t.Context(), "k0"); err != nil {
		t.Fatal(err)
	}
	if _, err := table.Put(t.Context(), "last", nil, 0); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for v := range w.Updates() {
		seen = append(seen, fmt.Sprintf("%s %v", v.Key, v.Deleted))
		if v.Key == "last" {
			break
		}
	}
	if len(seen) != keys+2 || seen[keys-1] != " false" || seen[keys] != "k0 true" {
		t.Errorf("seen %q", seen)
	}
}
