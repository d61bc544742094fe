package client

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// telling is a client that tells what it logs, and who hears it.
func telling(t *testing.T, do func(c *client, h *membus.Handle, heard *[]wire.Logs)) {
	synctest.Test(t, func(t *testing.T) {
		engine := membus.New(nil)
		h, server := engine.Open(), engine.Open()
		var heard []wire.Logs
		if _, err := server.Subscribe(wire.PatternLogs, func(m bus.Msg) {
			var l wire.Logs
			if err := ledger.Decode(m.Data, &l); err != nil || len(m.Data) > bus.MaxMessage {
				t.Error(err, len(m.Data))
			}
			heard = append(heard, l)
		}); err != nil {
			t.Fatal(err)
		}
		c := &client{o: Options{Bus: h, Host: "h1"}, id: "c1"}
		c.logs.init(nil)
		do(c, h, &heard)
		server.Close()
		h.Close()
		time.Sleep(time.Second) // for subscriptions, which nobody waits for
	})
}

func TestAllThatFitsIsToldInMessagesThatFit(t *testing.T) {
	telling(t, func(c *client, _ *membus.Handle, heard *[]wire.Logs) {
		for i := range 1000 {
			c.logs.of("j").Logger("walk").Warn("w", "i", i, "path", strings.Repeat("x", 290))
		}
		c.tellLogs()
		c.tellLogs() // there is nothing new
		synctest.Wait()
		next, all := uint64(1), 0
		for _, l := range *heard {
			if l.Client != "c1" || l.Host != "h1" || l.Job != "j" || l.Seq != next {
				t.Errorf("%+v", l)
			}
			next += uint64(len(l.Records))
			all += len(l.Records)
		}
		if last := (*heard)[len(*heard)-1]; all < 100 || all+int(last.Dropped) != 1000 || len(*heard) > 5 {
			t.Errorf("%d told in %d messages, %d dropped", all, len(*heard), last.Dropped)
		}
	})
}

func TestWithoutAConnectionWarningsAreKept(t *testing.T) {
	telling(t, func(c *client, h *membus.Handle, heard *[]wire.Logs) {
		h.Cut()
		time.Sleep(time.Minute)
		c.logs.of("").Logger(logName).Warn("connection lost")
		c.tellLogs()
		synctest.Wait()
		if c.connected() || len(*heard) > 0 {
			t.Fatalf("connected %v: %+v", c.connected(), *heard)
		}
		h.Heal()
		time.Sleep(time.Minute)
		c.tellLogs()
		synctest.Wait()
		if len(*heard) != 1 || (*heard)[0].Records[0].Text != "connection lost" || (*heard)[0].Dropped != 0 {
			t.Errorf("%+v", *heard)
		}
	})
}

func TestLogsOfJobsThatAreOverAreForgotten(t *testing.T) {
	telling(t, func(c *client, _ *membus.Handle, _ *[]wire.Logs) {
		c.sessions = map[string]*session{"long": {}}
		for i := range 100 {
			c.logs.of(fmt.Sprint("j", i))
		}
		c.logs.of("")
		c.logs.of("long")
		time.Sleep(forgetAfter + time.Second)
		c.logs.of("new")
		c.tellLogs()
		if all := c.logs.list(); len(all) != 3 || all[""] == nil || all["long"] == nil || all["new"] == nil {
			t.Errorf("%d are left: %v", len(all), all)
		}
	})
}

func TestASessionsLevelsChangeWhileItWorks(t *testing.T) {
	var out bytes.Buffer
	c := &client{}
	c.logs.init(slog.New(slog.NewTextHandler(&out, nil)))
	s := &session{c: c, spec: &wire.Spec{Job: "j", App: "audit"}}
	walk, other := c.logs.of("j").Logger("walk"), c.logs.of("k").Logger("walk")
	say := func() string {
		out.Reset()
		walk.Debug("here")
		other.Debug("there")
		return out.String()
	}
	if text := say(); text != "" {
		t.Error(text)
	}
	if err := s.SetLevels(map[string]string{"walk": "debug", "audit": "error"}); err != nil {
		t.Fatal(err)
	}
	if text := say(); !strings.Contains(text, "msg=here job=j logger=walk\n") || strings.Contains(text, "there") {
		t.Error(text)
	}
	if err := s.SetLevels(map[string]string{"wlak": "debug"}); err == nil || !strings.Contains(err.Error(), "walk, client, server, hydra, audit") {
		t.Error(err)
	}
	if text := say(); text == "" {
		t.Error("a mistake changed the levels")
	}
	if err := s.SetLevels(nil); err != nil || say() != "" {
		t.Error(err)
	}
}
