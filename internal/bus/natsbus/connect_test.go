package natsbus

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/natsd"
	"github.com/hydrawalk/hydra/internal/testaddr"
)

func TestConnectTellsWhyItFails(t *testing.T) {
	s := server(t, natsd.Options{Listen: "127.0.0.1:0", User: "u", Password: "p"})
	for _, o := range []Options{{}, {User: "u", Password: "q"}, {Token: "t"}, {User: "u", Password: "q", Wait: true}} {
		o.URL = s.URL()
		_, err := Connect(t.Context(), o)
		if !errors.Is(err, bus.ErrAuth) || errors.Is(err, bus.ErrUnreachable) {
			t.Errorf("%+v: %v", o, err)
		}
		if strings.Contains(err.Error(), "q\"") {
			t.Errorf("the password is told: %v", err)
		}
	}
	url := s.URL()
	s.Shutdown()
	_, err := Connect(t.Context(), Options{URL: url, User: "u", Password: "p"})
	if !errors.Is(err, bus.ErrUnreachable) || errors.Is(err, bus.ErrAuth) || !strings.Contains(err.Error(), url) {
		t.Errorf("no server: %v", err)
	}
}

func TestConnectWaitsForTheEngine(t *testing.T) {
	addr, err := testaddr.Free()
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	o := Options{URL: "nats://" + addr, User: "u", Password: "p", Wait: true}
	o.Retrying = func(err error, in time.Duration) {
		if tried++; tried == 2 {
			server(t, natsd.Options{Listen: addr, User: "u", Password: "p"})
		}
		if !errors.Is(err, bus.ErrUnreachable) || in <= 0 || in > maxWait {
			t.Errorf("%v, in %v", err, in)
		}
	}
	connect(t, o)
	if tried < 2 {
		t.Errorf("retrying was told %d times", tried)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.URL = "nats://127.0.0.1:1"
	o.Retrying = func(error, time.Duration) { cancel() }
	if _, err := Connect(ctx, o); !errors.Is(err, context.Canceled) || !errors.Is(err, bus.ErrUnreachable) {
		t.Errorf("when the context ends: %v", err)
	}
}

func TestBackOffIsBounded(t *testing.T) {
	for attempt := range 100 {
		if d := backOff(attempt); d < minWait/2 || d > maxWait {
			t.Errorf("attempt %d waits %v", attempt, d)
		}
	}
}
