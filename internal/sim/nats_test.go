package sim

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"

	"github.com/hydrawalk/hydra/internal/bus/natsbus"
	"github.com/hydrawalk/hydra/internal/natsd"
)

// natsHandle is a connection to the real engine.
type natsHandle struct {
	*natsbus.Bus
	closing *sync.WaitGroup
}

func (h natsHandle) Kill()   { h.closing.Go(func() { h.Close() }) }
func (h natsHandle) Cut()    {}
func (h natsHandle) Heal()   {}
func (h natsHandle) Freeze() {}
func (h natsHandle) Thaw()   {}

// The same with the real engine: clients die, the server dies, and come again.
func TestTheRealEngineLosesNothing(t *testing.T) {
	ats.Register() // its goroutine must not be born in the bubble
	defer ats.Unregister()
	for seed := range uint64(3) {
		s := quiet(seed, 400, 4, 2)
		s.Effort.Dir = 300 * time.Millisecond // about eight seconds
		s.Shape.big, s.Rules = 5, rules{BadFile: 30, Closed: 10, Filter: true, Dropped: 20}
		synctest.Test(t, func(t *testing.T) {
			engine, err := natsd.Start(natsd.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer engine.Shutdown()
			var closing sync.WaitGroup
			defer closing.Wait()
			w := newWorldOn(s, nil, func() handle {
				b, err := natsbus.Connect(context.Background(), natsbus.Options{InProcess: engine, Memory: true})
				if err != nil {
					t.Fatal(err)
				}
				return natsHandle{b, &closing}
			})
			defer w.end()
			if err := w.liveOnNATS(); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		})
	}
}

func (w *world) liveOnNATS() error {
	server := w.serve()
	for range w.Clients {
		w.work(w.Workers)
	}
	if err := w.submit(w.spec(job)); err != nil {
		return err
	}
	w.sleep(1500 * time.Millisecond)
	w.kill(w.clients[0])
	w.sleep(time.Second)
	w.kill(server)
	w.sleep(500 * time.Millisecond)
	w.drain(w.clients[1])
	w.serve()
	w.work(w.Workers)
	if err := w.waitEnd(job, 5*time.Minute); err != nil {
		return err
	}
	return w.judge()
}
