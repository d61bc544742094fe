package membus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
)

// A Handle is one connection to the engine, as one process has it.
type Handle struct {
	e    *Engine
	id   int
	dead chan struct{} // closed by Close and Kill
	wg   sync.WaitGroup

	// guarded by e.mu
	rng                    *rand.Rand
	cut, frozen, connected bool
	closed                 bool
	changed                chan struct{} // closed when any of the above changes
	conn                   chan struct{} // closed when connected changes
	subs                   map[*subscription]struct{}
	watches                map[*watch]struct{}
}

var _ bus.Bus = (*Handle)(nil)

// Cut parts the handle from the engine: nothing gets through.
func (h *Handle) Cut() { h.alter(func() { h.cut = true }) }

// Heal undoes Cut.
func (h *Handle) Heal() { h.alter(func() { h.cut = false }) }

// Freeze stops it as SIGSTOP does a process: whatever is called waits, and
// nothing is delivered, but the engine does not know.
func (h *Handle) Freeze() { h.alter(func() { h.frozen = true }) }

// Thaw undoes Freeze.
func (h *Handle) Thaw() { h.alter(func() { h.frozen = false }) }

// Kill is Close, but waits for nothing: what is under way at the engine
// is done or not.
func (h *Handle) Kill() {
	h.alter(func() {
		if h.closed {
			return
		}
		h.closed = true
		close(h.dead)
		delete(h.e.handles, h)
		for s := range h.subs {
			s.end()
		}
	})
}

// Close implements [bus.Bus].
func (h *Handle) Close() error {
	h.Kill()
	h.wg.Wait()
	return nil
}

func (h *Handle) alter(f func()) {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	f()
	close(h.changed)
	h.changed = make(chan struct{})
	h.update()
}

// update is called under e.mu when what connected depends on may have changed.
func (h *Handle) update() {
	now := !h.e.down && !h.cut && !h.closed
	if now == h.connected && !h.closed {
		return
	}
	h.connected = now
	close(h.conn)
	h.conn = make(chan struct{})
	close(h.changed)
	h.changed = make(chan struct{})
}

// Connected implements [bus.Bus].
func (h *Handle) Connected() (bool, <-chan struct{}) {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	return h.connected, h.conn
}

// running waits while the handle is frozen, and fails when it is closed. It is
// called under e.mu, which it gives up to wait.
func (h *Handle) running() error {
	for h.frozen && !h.closed {
		c := h.changed
		h.e.mu.Unlock()
		<-c
		h.e.mu.Lock()
	}
	if h.closed {
		return bus.ErrClosed
	}
	return nil
}

// delay is that of one way. It is called under e.mu.
func (h *Handle) delay() time.Duration {
	if h.e.faults.Delay == nil {
		return 0
	}
	return max(0, h.e.faults.Delay(h.rng))
}

// chance is called under e.mu.
func (h *Handle) chance(p float64) bool { return p > 0 && h.rng.Float64() < p }

func (h *Handle) timeout() time.Duration {
	if t := h.e.faults.Timeout; t > 0 {
		return t
	}
	return 5 * time.Second
}

var errTimeout = errors.New("no answer from the engine")

// sleep gives up e.mu, and returns early when the context or the handle ends.
func (h *Handle) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	h.e.mu.Unlock()
	defer h.e.mu.Lock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.dead:
		return bus.ErrClosed
	}
}

// read asks the engine, until there is an answer or the context ends. f runs under
// e.mu.
func (h *Handle) read(ctx context.Context, f func() error) error {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	for {
		if err := h.reach(ctx); err != nil {
			return err
		}
		if err := h.sleep(ctx, h.delay()); err != nil {
			return err
		}
		lost := !h.connected || h.chance(h.e.faults.LostRead)
		var answer error
		if !lost {
			answer = f()
			if err := h.sleep(ctx, h.delay()); err != nil {
				return err
			}
			lost = !h.connected
		}
		if err := h.running(); err != nil {
			return err
		}
		if !lost {
			return answer
		}
		if err := h.sleep(ctx, h.timeout()); err != nil {
			return err
		}
	}
}

// reach waits until the handle is not frozen and is connected.
func (h *Handle) reach(ctx context.Context) error {
	for {
		if err := h.running(); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if h.connected {
			return nil
		}
		c := h.changed
		h.e.mu.Unlock()
		select {
		case <-c:
		case <-ctx.Done():
		}
		h.e.mu.Lock()
	}
}

// write is read for what changes something: tried once. Without an answer the
// outcome is unknown. f runs under e.mu, and perhaps late.
func (h *Handle) write(ctx context.Context, f func() error) error {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	if err := h.running(); err != nil {
		return fmt.Errorf("%w: %w", bus.ErrUnknown, err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", bus.ErrUnknown, err)
	}
	begin := time.Now()
	unknown := func(cause error) error {
		if cause == nil {
			if cause = h.sleep(ctx, h.timeout()-time.Since(begin)); cause == nil {
				cause = errTimeout
			}
		}
		if err := h.running(); err != nil {
			cause = err
		}
		return fmt.Errorf("%w: %w", bus.ErrUnknown, cause)
	}
	if err := h.sleep(ctx, h.delay()); err != nil {
		return unknown(err)
	}
	switch faults := h.e.faults; {
	case !h.connected, h.chance(faults.LostPut):
		return unknown(nil)
	case h.chance(faults.LatePut):
		late := h.timeout() + time.Duration(h.rng.Float64()*float64(h.timeout()))
		time.AfterFunc(late, func() {
			h.e.mu.Lock()
			defer h.e.mu.Unlock()
			if !h.e.down {
				f() //nolint:errcheck // there is nobody to tell
			}
		})
		return unknown(nil)
	}
	answer := f()
	if h.chance(h.e.faults.LostAck) {
		return unknown(nil)
	}
	if err := h.sleep(ctx, h.delay()); err != nil {
		return unknown(err)
	}
	if !h.connected {
		return unknown(nil)
	}
	if err := h.running(); err != nil {
		return unknown(err)
	}
	return answer
}

// Create implements [bus.Bus].
func (h *Handle) Create(ctx context.Context, name string) (bus.Table, error) {
	if err := bus.CheckTable(name); err != nil {
		return nil, err
	}
	t := newTable(name)
	err := h.write(ctx, func() error {
		if h.e.tables[name] != nil {
			return bus.ErrExists
		}
		h.e.tables[name] = t
		return nil
	})
	if err != nil {
		return nil, wrap("create table", name, err)
	}
	return &Table{h, t}, nil
}

// Open implements [bus.Bus].
func (h *Handle) Open(ctx context.Context, name string) (bus.Table, error) {
	if err := bus.CheckTable(name); err != nil {
		return nil, err
	}
	var t *table
	err := h.read(ctx, func() error {
		if t = h.e.tables[name]; t == nil {
			return bus.ErrNoTable
		}
		return nil
	})
	if err != nil {
		return nil, wrap("open table", name, err)
	}
	return &Table{h, t}, nil
}

// Tables implements [bus.Bus].
func (h *Handle) Tables(ctx context.Context) ([]string, error) {
	var names []string
	err := h.read(ctx, func() error {
		names = slices.Sorted(maps.Keys(h.e.tables))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	return names, nil
}

// Drop implements [bus.Bus].
func (h *Handle) Drop(ctx context.Context, name string) error {
	if err := bus.CheckTable(name); err != nil {
		return err
	}
	err := h.write(ctx, func() error {
		t := h.e.tables[name]
		if t == nil {
			return bus.ErrNoTable
		}
		delete(h.e.tables, name)
		t.drop()
		return nil
	})
	if err != nil {
		return wrap("drop table", name, err)
	}
	return nil
}
