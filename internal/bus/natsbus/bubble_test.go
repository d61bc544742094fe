package natsbus

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/natsd"
)

// Engine and clients in a bubble: an hour of their time passes at once.
func TestABubbleHoldsAnEngine(t *testing.T) {
	ats.Register() // its goroutine must not be born in the bubble
	defer ats.Unregister()
	synctest.Test(t, func(t *testing.T) {
		s, err := natsd.Start(natsd.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Shutdown()
		var all []*Bus
		for range 3 {
			b, err := Connect(t.Context(), Options{InProcess: s, Memory: true})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			all = append(all, b)
		}
		writer := create(t, all[0])
		got := make(chan string, 10)
		if _, err := all[1].Subscribe("hint", func(m bus.Msg) { got <- string(m.Data) }); err != nil {
			t.Fatal(err)
		}
		w, err := open(t, all[2]).Watch(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		<-w.Updates()
		begin := time.Now()
		var rev uint64
		for n := range 6 {
			time.Sleep(10 * time.Minute)
			data := fmt.Append(nil, n)
			if rev, err = writer.Put(t.Context(), "k", data, rev); err != nil {
				t.Fatal(err)
			}
			if err := all[0].Publish("hint", data); err != nil {
				t.Fatal(err)
			}
			if m := <-got; m != string(data) {
				t.Errorf("message %q", m)
			}
			if v := <-w.Updates(); v.Rev != rev || string(v.Data) != string(data) {
				t.Errorf("watch: %v", v)
			}
		}
		if d := time.Since(begin); d < time.Hour || d > time.Hour+time.Minute {
			t.Errorf("it took %v", d)
		}
		w.Stop()
	})
}
