package post

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/wire"
)

var (
	toServer  = wire.Address{Role: wire.RoleServer}
	toClients = wire.Address{Role: wire.RoleClients}
)

// taken is what receivers took in, over all their lives.
type taken struct {
	mu    sync.Mutex
	first map[string][]uint64 // by sender, without repetitions
	again int
}

func (k *taken) take(l *wire.Letter) {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := k.first[l.Sender]
	for _, n := range list {
		if n == l.N {
			k.again++
			return
		}
	}
	k.first[l.Sender] = append(list, l.N)
}

// judge tells what of n letters of each sender is missing or out of order.
func (k *taken) judge(senders, n int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.first) != senders {
		return fmt.Errorf("%d senders were heard, of %d", len(k.first), senders)
	}
	for sender, list := range k.first {
		if len(list) != n {
			return fmt.Errorf("%s: %d letters, want %d", sender, len(list), n)
		}
		for i, got := range list {
			if got != uint64(i+1) {
				return fmt.Errorf("%s: letter %d came as number %d", sender, got, i+1)
			}
		}
	}
	return nil
}

func open(t *testing.T, h *membus.Handle, table string) bus.Table {
	t.Helper()
	for {
		tb, err := h.Open(context.Background(), table)
		if err == nil {
			return tb
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// live lets senders write letters while the engine loses writes and answers, and who
// reads them dies again and again.
func live(t *testing.T, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 1))
	engine := membus.New(rand.New(rand.NewPCG(seed, 2)))
	defer engine.Close()
	if _, err := engine.Open().Create(t.Context(), "T"); err != nil {
		t.Fatal(err)
	}
	p := []float64{0, 0.05, 0.2}[r.IntN(3)]
	engine.SetFaults(membus.Faults{
		Delay:   func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(20 * time.Millisecond))) },
		LostPut: p, LatePut: p, LostAck: p, LostRead: p, Timeout: 500 * time.Millisecond,
	})
	const senders, letters = 5, 40
	to := []wire.Address{toServer, toClients}[r.IntN(2)]
	prefix := wire.PrefixToServer
	if to == toClients {
		prefix = wire.PrefixToClients
	}
	var wg sync.WaitGroup
	for i := range senders {
		d := NewOffice(open(t, engine.Open(), "T")).Desk(wire.Address{Role: wire.RoleWorkers}, fmt.Sprint("sender", i))
		impatient := r.IntN(2) == 0
		wg.Go(func() {
			for d.n < letters {
				ctx, cancel := context.WithCancel(t.Context())
				if impatient {
					ctx, cancel = context.WithTimeout(t.Context(), 30*time.Millisecond)
				}
				_ = d.Send(ctx, "topic", to, []byte("1")) // if it is not sent, it will be before the next one
				cancel()
			}
			for d.pending != nil {
				_ = d.deliver(t.Context())
			}
		})
	}
	sent := make(chan struct{})
	go func() {
		wg.Wait()
		close(sent)
	}()

	k := &taken{first: map[string][]uint64{}}
	for life := 0; ; life++ {
		h := engine.Open()
		luck := rand.New(rand.NewPCG(seed, uint64(100+life)))
		own := map[string]uint64{} // taken in this life
		lasts := time.Duration(luck.IntN(3000)) * time.Millisecond
		o := InboxOptions{Prefix: prefix}
		if to == toServer {
			o.Remove = func(*wire.Letter) bool { return true }
		}
		b := NewInbox(NewOffice(open(t, h, "T")), o)
		b.Receive("topic", func(ctx context.Context, l *wire.Letter) error {
			time.Sleep(time.Duration(luck.IntN(5)) * time.Millisecond)
			switch luck.IntN(60) {
			case 0:
				return errors.New("not now")
			case 1:
				panic("not at all")
			}
			if own[l.Sender] >= l.N {
				t.Errorf("seed %d: letter %d of %s came twice to one inbox", seed, l.N, l.Sender)
			}
			own[l.Sender] = l.N
			k.take(l)
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() {
			b.Run(ctx)
			close(ran)
		}()
		over := false
		select {
		case <-sent:
			over = true
			drained, done := context.WithTimeout(ctx, 10*time.Minute)
			if err := b.Drain(drained); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
			done()
		case <-time.After(lasts):
			h.Kill()
		}
		cancel()
		<-ran
		if over {
			break
		}
	}
	if to == toServer {
		engine.SetFaults(membus.Faults{})
		time.Sleep(time.Minute) // what comes late has come
	}
	return k.judge(senders, letters)
}

func TestEachLetterIsTakenInAndInOrderWhateverFails(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			if err := live(t, seed); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		})
	}
}

func TestAJobKeepsNoMoreLettersThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := membus.New(nil)
		defer engine.Close()
		h := engine.Open()
		table, err := h.Create(t.Context(), "T")
		if err != nil {
			t.Fatal(err)
		}
		const room = 100
		if _, err := table.Put(t.Context(), wire.KeyLetters, fmt.Append(nil, wire.MaxLetters-room), 0); err != nil {
			t.Fatal(err)
		}
		d := NewOffice(table).Desk(toClients, "sender")
		send := func() (n int) {
			for n = 0; err == nil && n <= 2*room; n++ {
				err = d.Send(t.Context(), "topic", toServer, []byte("1"))
			}
			return n - 1
		}
		if n := send(); n != room || !errors.Is(err, ErrMany) {
			t.Errorf("%d letters were sent, then %v", n, err)
		}
		// What is taken in makes room.
		reader := NewOffice(table)
		b := NewInbox(reader, InboxOptions{Prefix: wire.PrefixToServer, Remove: func(*wire.Letter) bool { return true }})
		b.Receive("topic", func(context.Context, *wire.Letter) error { return nil })
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() {
			b.Run(ctx)
			close(ran)
		}()
		if err := b.Drain(ctx); err != nil {
			t.Error(err)
		}
		reader.Close(ctx)
		cancel()
		<-ran
		if err = nil; send() != room {
			t.Error("there is not as much room as before")
		}
		left, err := table.List(t.Context(), wire.PrefixToServer)
		if err != nil || len(left) != room {
			t.Errorf("%d letters are there: %v", len(left), err)
		}
		if err := d.Send(t.Context(), "topic", toServer, make([]byte, wire.MaxLetter+1)); !errors.Is(err, ErrLarge) {
			t.Error(err)
		}
	})
}

func TestALetterThatCanNotBeReadIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := membus.New(nil)
		defer engine.Close()
		table, err := engine.Open().Create(t.Context(), "T")
		if err != nil {
			t.Fatal(err)
		}
		o := NewOffice(table)
		d := o.Desk(toServer, "sender")
		for _, topic := range []string{"odd", "unknown", "known"} {
			if err := d.Send(t.Context(), topic, toClients, []byte("1")); err != nil {
				t.Fatal(err)
			}
		}
		b := NewInbox(o, InboxOptions{Prefix: wire.PrefixToClients})
		var got []string
		b.Receive("odd", func(context.Context, *wire.Letter) error {
			got = append(got, "odd")
			return fmt.Errorf("as it is: %w", &Unfit{errors.New("no number")})
		})
		b.Receive("known", func(context.Context, *wire.Letter) error { got = append(got, "known"); return nil })
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() {
			b.Run(ctx)
			close(ran)
		}()
		if err := b.Drain(ctx); err != nil {
			t.Error(err)
		}
		// What waited for a receiver comes when there is one.
		b.Receive("unknown", func(context.Context, *wire.Letter) error { got = append(got, "unknown"); return nil })
		if err := b.Drain(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		<-ran
		if want := "[odd known unknown]"; fmt.Sprint(got) != want {
			t.Errorf("%v, want %s", got, want)
		}
	})
}

func TestAWorkerGetsALetterAgainThatItDidNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		poked := 0
		c := &Crowd{Poke: func() { poked++ }, Log: slog.New(slog.DiscardHandler)}
		early, late := c.Member(), c.Member()
		var got []string
		for name, m := range map[string]*Member{"early": early, "late": late} {
			m.Receive("topic", func(_ context.Context, l *wire.Letter) error {
				got = append(got, fmt.Sprint(name, l.N))
				if len(got) == 1 {
					return errors.New("not now")
				}
				return nil
			})
		}
		c.Add(&wire.Letter{Topic: "topic", N: 1})
		c.Add(&wire.Letter{Topic: "other", N: 2})
		c.Add(&wire.Letter{Topic: "topic", N: 3})
		if !early.Due() || early.Deliver(t.Context()) == nil || early.Deliver(t.Context()) != nil || len(got) != 1 {
			t.Errorf("got %v", got)
		}
		before := poked
		time.Sleep(RetryAfter)
		synctest.Wait()
		if err := early.Deliver(t.Context()); err != nil || early.Due() || poked != before+1 {
			t.Errorf("%v, poked %d times", err, poked-before)
		}
		if err := late.Deliver(t.Context()); err != nil {
			t.Error(err)
		}
		if want := "[early1 early1 early3 late1 late3]"; fmt.Sprint(got) != want {
			t.Errorf("%v, want %s", got, want)
		}
	})
}
