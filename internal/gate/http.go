package gate

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

func randomText() string { return strings.ToLower(rand.Text()) }

// serveHTTP begins to answer requests on the connections that are handed over.
func (g *Gate) serveHTTP() {
	g.http = &http.Server{
		Handler:           g.limited(g.o.HTTP),
		ReadHeaderTimeout: knockTime,
		ReadTimeout:       knockTime,
		WriteTimeout:      knockTime,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return g.life },
		ConnState: func(conn net.Conn, s http.ConnState) {
			if s == http.StateClosed || s == http.StateHijacked {
				g.crowd.closed(conn)
			}
		},
	}
	g.http.SetKeepAlivesEnabled(false) // one request, and go
	g.wg.Go(func() { _ = g.http.Serve(handed{g}) })
}

// hand hands a connection to the HTTP server and waits for its end.
func (g *Gate) hand(v *visitor) {
	if g.http == nil {
		return
	}
	done := g.crowd.watch(v)
	select {
	case g.knocks <- v.conn:
		<-done // at the latest when Close closes it
	case <-g.life.Done():
	}
}

// handed is the listener of the HTTP server.
type handed struct{ g *Gate }

func (h handed) Accept() (net.Conn, error) {
	select {
	case conn := <-h.g.knocks:
		return conn, nil
	case <-h.g.life.Done():
		return nil, net.ErrClosed
	}
}

func (h handed) Close() error   { return nil }
func (h handed) Addr() net.Addr { return h.g.l.Addr() }

// Guesses: so many may fail of one address in a row, and one more in each guessEvery.
const (
	guessBurst = 10
	guessEvery = 6 * time.Second
	mostOrigin = 16 << 10 // addresses that are remembered
)

// Requests of one address, also of those that succeed: each of them is written to the disk.
const (
	requestsPerSecond = 10
	requestBurst      = 500
)

// guesses counts what failed, by address.
type guesses struct {
	mu sync.Mutex
	of map[netip.Prefix]*origin
}

// origin limits what comes from one address.
type origin struct{ failed, all *rate.Limiter }

func (g *guesses) init() { g.of = map[netip.Prefix]*origin{} }

func (g *guesses) from(from netip.Prefix) *origin {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.of[from]
	if l == nil {
		if len(g.of) >= mostOrigin {
			for other, l := range g.of { // those that would be let in anyway, first
				if l.failed.Tokens() >= guessBurst && l.all.Tokens() >= requestBurst || len(g.of) >= 2*mostOrigin {
					delete(g.of, other)
				}
			}
		}
		l = &origin{rate.NewLimiter(rate.Every(guessEvery), guessBurst), rate.NewLimiter(requestsPerSecond, requestBurst)}
		g.of[from] = l
	}
	return l
}

// limited makes a handler answer for a while with 429 to an address of which too many
// requests were refused.
func (g *Gate) limited(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := netip.Prefix{}
		if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
			from = prefix(net.TCPAddrFromAddrPort(at))
		}
		l := g.guesses.from(from)
		if l.failed.Tokens() < 1 || !l.all.Allow() {
			w.Header().Set("Retry-After", "60")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"error":"too many requests came from this address: wait a minute"}` + "\n"))
			return
		}
		seen := &statusWriter{ResponseWriter: w}
		h.ServeHTTP(seen, r)
		if seen.status >= 400 && seen.status < 500 {
			l.failed.Allow()
		}
	})
}

// statusWriter remembers what was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
