package natsbus

import (
	"testing"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/bustest"
	"github.com/hydrawalk/hydra/internal/natsd"
)

func server(t *testing.T, o natsd.Options) *natsd.Server {
	t.Helper()
	s, err := natsd.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func connect(t *testing.T, o Options) *Bus {
	t.Helper()
	b, err := Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestConformance(t *testing.T) {
	t.Run("TCP", func(t *testing.T) {
		bustest.Test(t, func(t *testing.T) func() bus.Bus {
			s := server(t, natsd.Options{Listen: "127.0.0.1:0", User: "u", Password: "p", MaxPayload: 64 << 10})
			return func() bus.Bus { return connect(t, Options{URL: s.URL(), User: "u", Password: "p"}) }
		})
	})
	t.Run("InProcess", func(t *testing.T) {
		bustest.Test(t, func(t *testing.T) func() bus.Bus {
			s := server(t, natsd.Options{})
			return func() bus.Bus { return connect(t, Options{InProcess: s, Memory: true}) }
		})
	})
}
