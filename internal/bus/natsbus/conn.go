package natsbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hydrawalk/hydra/internal/bus"
)

// state is that of the connection.
type state struct {
	mu      sync.Mutex
	up      bool
	closed  bool
	started bool
	changed chan struct{}
	session context.Context // ends when the connection is lost
	lose    context.CancelFunc
}

func (s *state) init() {
	s.changed = make(chan struct{})
	s.session, s.lose = context.WithCancel(context.Background())
	s.lose()
}

// start takes the first state; handlers may have been called before.
func (s *state) start(connected func() bool) {
	s.mu.Lock()
	s.started = true
	s.mu.Unlock()
	s.set(connected())
}

// set is also called for a connection that was lost and is back before anybody
// looked: that is a change.
func (s *state) set(up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started || s.closed || s.up == up {
		return
	}
	s.up = up
	if up {
		s.session, s.lose = context.WithCancel(context.Background())
	} else {
		s.lose()
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *state) close() {
	s.set(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.lose()
		close(s.changed)
	}
}

func (s *state) get() (bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.up, s.changed
}

func (s *state) now() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session
}

// group counts goroutines that Close waits for. None is begun after that.
type group struct {
	mu   sync.Mutex
	over bool
	wg   sync.WaitGroup
}

func (g *group) begin(f func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return false
	}
	g.wg.Go(f)
	return true
}

func (g *group) wait() {
	g.mu.Lock()
	g.over = true
	g.mu.Unlock()
	g.wg.Wait()
}

// reach waits for the engine.
func (b *Bus) reach(ctx context.Context) error {
	for {
		up, changed := b.Connected()
		switch {
		case b.life.Err() != nil:
			return bus.ErrClosed
		case ctx.Err() != nil:
			return ctx.Err()
		case up:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-b.life.Done():
		}
	}
}

// bound ends a context with the Bus.
func (b *Bus) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(b.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// attemptTimeout is how long one attempt waits for its answer. A disk that needs
// longer to sync is asked again, which does no harm.
const attemptTimeout = 5 * time.Second

// attempt calls f, with a context that ends with the connection: an answer would
// not come any more.
func (b *Bus) attempt(ctx context.Context, f func(ctx context.Context) error) error {
	if err := b.reach(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	defer context.AfterFunc(b.state.now(), cancel)()
	return f(ctx)
}

// retry attempts f, which may be done many times, until it succeeds or fails for
// good, or the context ends.
func (b *Bus) retry(ctx context.Context, f func(ctx context.Context) error) error {
	for n := 0; ; n++ {
		err := b.attempt(ctx, f)
		if err == nil || !passing(err) {
			return err
		}
		if err := b.pause(ctx, n); err != nil {
			return err
		}
	}
}

// pause waits before the next attempt.
func (b *Bus) pause(ctx context.Context, n int) error {
	select {
	case <-time.After(backOff(n)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-b.life.Done():
		return bus.ErrClosed
	}
}

// passing tells whether an error of an attempt says that there was no answer,
// or that there may be another one soon.
func passing(err error) bool {
	if errors.Is(err, bus.ErrClosed) {
		return false
	}
	if code, api := apiCode(err); api {
		switch code {
		case codeNotAvailable, codeNoCluster, codeInFlight:
			return true
		}
		return false
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrNoStreamResponse) ||
		errors.Is(err, nats.ErrConnectionReconnecting) || errors.Is(err, nats.ErrReconnectBufExceeded) ||
		errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrStaleConnection) ||
		isNet(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)
}

func isNet(err error) bool {
	_, ok := errors.AsType[net.Error](err)
	return ok
}

// Error codes of JetStream.
const (
	codeNotAvailable = 10008 // no leader of the cluster
	codeNoCluster    = 10009
	codeInFlight     = 10164 // another write of the same subject is not done yet
	codeNoMessage    = 10037
	codeWrongLast    = 10071
	codeNoStream     = 10059
	codeNameInUse    = 10058
	codeStoreFailed  = 10077
	codeNoStorage    = 10047
	codeNoResources  = 10023
	codeNotEnabled   = 10039
	codeNotEnabled2  = 10076
)

// apiError is an error that the engine answered.
type apiError struct {
	Code        int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%s (%d)", e.Description, e.Code) }

func apiCode(err error) (int, bool) {
	if own, ok := errors.AsType[*apiError](err); ok {
		return own.Code, true
	}
	if js, ok := errors.AsType[*jetstream.APIError](err); ok {
		return int(js.ErrorCode), true
	}
	return 0, false
}

// explain makes an error one of package bus, where it is one.
func (b *Bus) explain(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, nats.ErrConnectionClosed) || b.life.Err() != nil && !errors.Is(err, bus.ErrClosed) {
		return fmt.Errorf("%w: %w", bus.ErrClosed, err)
	}
	switch code, _ := apiCode(err); code {
	case codeNoStream:
		return bus.ErrNoTable
	case codeNoStorage, codeNoResources, codeStoreFailed:
		return fmt.Errorf("%w: %w", bus.ErrFull, err)
	case codeNotEnabled, codeNotEnabled2:
		return fmt.Errorf("JetStream is not enabled: %w", err)
	}
	return err
}
