package gate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/natsbus"
	"github.com/hydrawalk/hydra/internal/natsd"
	"github.com/hydrawalk/hydra/internal/trust"
)

// BenchmarkPut and BenchmarkRequest compare a connection to the engine itself, as there
// was before there was a gate, with those that come through it.
func BenchmarkPut(b *testing.B) {
	perConnection(b, func(b *testing.B, _, _ *natsbus.Bus, table bus.Table, _ string) {
		data, rev := make([]byte, 1000), uint64(0)
		for b.Loop() {
			var err error
			if rev, err = table.Put(b.Context(), "m.n", data, rev); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	perConnection(b, func(b *testing.B, server, own *natsbus.Bus, _ bus.Table, id string) {
		subject := "hydra.ask.operator." + id
		sub, err := server.Subscribe("hydra.ask.*.*", func(m bus.Msg) { _ = m.Reply(m.Data) })
		if err != nil {
			b.Fatal(err)
		}
		defer sub.Stop()
		data := make([]byte, 500)
		for b.Loop() {
			if _, err := own.Request(b.Context(), subject, data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func perConnection(b *testing.B, f func(b *testing.B, server, own *natsbus.Bus, table bus.Table, id string)) {
	dir := filepath.Join(b.TempDir(), "trust")
	authority, err := trust.Open(dir, trust.Options{})
	if err != nil {
		b.Fatal(err)
	}
	admin, err := authority.Admin("bench")
	if err != nil {
		b.Fatal(err)
	}
	who, err := admin.Identity()
	if err != nil {
		b.Fatal(err)
	}
	config, err := admin.Config("")
	if err != nil {
		b.Fatal(err)
	}
	config.NextProtos = []string{Protocol}
	site := Options{Listen: "127.0.0.1:0", HTTP: authority.Handler(), TLS: &tls.Config{GetCertificate: authority.Certificate},
		Verify: func(chain []*x509.Certificate) (trust.Identity, error) { return authority.Identify(chain) }}
	for _, way := range []struct {
		name string
		gate *Options
		o    natsbus.Options
	}{
		{"Direct", nil, natsbus.Options{User: "own", Password: "p"}},
		{"Gate", &Options{Listen: "127.0.0.1:0", Password: password}, natsbus.Options{User: "operator.b-local", Password: password, Inbox: Inbox("b-local")}},
		{"TLS", &site, natsbus.Options{User: "operator.b-" + who.ID, TLS: config, Inbox: Inbox("b-" + who.ID)}},
	} {
		b.Run(way.name, func(b *testing.B) {
			no := natsd.Options{User: "own", Password: "p"}
			if way.gate == nil {
				no.Listen = "127.0.0.1:0"
			}
			var g *Gate
			if way.gate != nil {
				g = New(*way.gate)
				no.Login = g.Login
			}
			engine, err := natsd.Start(no)
			if err != nil {
				b.Fatal(err)
			}
			defer engine.Shutdown()
			way.o.URL = engine.URL()
			if g != nil {
				if err := g.Open(engine.InProcessConn); err != nil {
					b.Fatal(err)
				}
				defer g.Close()
				way.o.URL = "nats://" + g.Addr().String()
			}
			server, err := natsbus.Connect(b.Context(), natsbus.Options{InProcess: engine, User: "own", Password: "p", Memory: true, Sweeps: true})
			if err != nil {
				b.Fatal(err)
			}
			defer server.Close()
			if _, err := server.Create(b.Context(), "job_j"); err != nil {
				b.Fatal(err)
			}
			way.o.AskToSweep = true
			ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
			defer cancel()
			own, err := natsbus.Connect(ctx, way.o)
			if err != nil {
				b.Fatal(err)
			}
			defer own.Close()
			table, err := own.Open(b.Context(), "job_j")
			if err != nil {
				b.Fatal(err)
			}
			f(b, server, own, table, strings.TrimPrefix(way.o.User, "operator."))
		})
	}
}
