package membus

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/hydrawalk/hydra/internal/bus"
)

// Table is a table as a handle sees it.
type Table struct {
	h *Handle
	t *table
}

var _ bus.Table = (*Table)(nil)

// Name implements [bus.Table].
func (t *Table) Name() string { return t.t.name }

func (t *Table) wrap(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s in table %s: %w", op, key, t.t.name, err)
}

// Get implements [bus.Table].
func (t *Table) Get(ctx context.Context, key string) (bus.Value, error) {
	if err := bus.CheckKey(key); err != nil {
		return bus.Value{}, err
	}
	var en *entry
	err := t.h.read(ctx, func() error {
		if t.t.dropped {
			return bus.ErrNoTable
		}
		if en = t.t.last(key); en == nil || en.deleted {
			return bus.ErrNoKey
		}
		return nil
	})
	if err != nil {
		return bus.Value{}, t.wrap("get", key, err)
	}
	return en.value(), nil
}

// Put implements [bus.Table].
func (t *Table) Put(ctx context.Context, key string, data []byte, rev uint64) (uint64, error) {
	if err := bus.CheckKey(key); err != nil {
		return 0, err
	}
	if len(data) > bus.MaxValue {
		return 0, t.wrap("put", key, bus.ErrTooLarge)
	}
	data = slices.Clone(data)
	var got uint64
	err := t.h.write(ctx, func() (err error) {
		if t.t.dropped {
			return bus.ErrNoTable
		}
		got, err = t.t.put(key, data, rev)
		return err
	})
	if err != nil {
		return 0, t.wrap("put", key, err)
	}
	return got, nil
}

// Delete implements [bus.Table].
func (t *Table) Delete(ctx context.Context, key string) error {
	if err := bus.CheckKey(key); err != nil {
		return err
	}
	return t.wrap("delete", key, t.h.write(ctx, func() error {
		if t.t.dropped {
			return bus.ErrNoTable
		}
		t.t.delete(key)
		return nil
	}))
}

// List implements [bus.Table].
func (t *Table) List(ctx context.Context, prefix string) ([]bus.Value, error) {
	if err := bus.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	var all []*entry
	err := t.h.read(ctx, func() error {
		if t.t.dropped {
			return bus.ErrNoTable
		}
		all = t.t.since(0, prefix)
		return nil
	})
	if err != nil {
		return nil, t.wrap("list", prefix+"*", err)
	}
	var values []bus.Value
	for _, en := range all {
		if !en.deleted {
			values = append(values, en.value())
		}
	}
	slices.SortFunc(values, func(a, b bus.Value) int { return cmp.Compare(a.Key, b.Key) })
	return values, nil
}

// Watch implements [bus.Table].
func (t *Table) Watch(ctx context.Context, prefix string) (bus.Watch, error) {
	if err := bus.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{
		h: t.h, t: t.t, prefix: prefix, cancel: cancel,
		updates: make(chan bus.Value), news: make(chan struct{}, 1),
		ended: make(chan struct{}),
	}
	err := t.h.read(ctx, func() error {
		if t.t.dropped {
			return bus.ErrNoTable
		}
		t.t.watches[w] = struct{}{}
		return nil
	})
	if err != nil {
		cancel()
		t.h.e.mu.Lock()
		delete(t.t.watches, w)
		t.h.e.mu.Unlock()
		return nil, t.wrap("watch", prefix+"*", err)
	}
	t.h.e.mu.Lock()
	defer t.h.e.mu.Unlock()
	if t.h.closed { // Close waits already
		cancel()
		delete(t.t.watches, w)
		return nil, t.wrap("watch", prefix+"*", bus.ErrClosed)
	}
	t.h.wg.Go(func() { w.run(ctx) })
	return w, nil
}

// watch is a position in the table's log.
type watch struct {
	h       *Handle
	t       *table
	prefix  string
	cancel  context.CancelFunc
	updates chan bus.Value
	news    chan struct{} // something came, or the table is gone
	ended   chan struct{}
	stopped bool  // guarded by h.e.mu
	err     error // written before updates is closed
}

func (w *watch) look() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *watch) Updates() <-chan bus.Value { return w.updates }

func (w *watch) Err() error {
	<-w.ended
	return w.err
}

func (w *watch) Stop() {
	w.h.e.mu.Lock()
	w.stopped = true
	w.h.e.mu.Unlock()
	w.cancel()
	<-w.ended
}

func (w *watch) run(ctx context.Context) {
	err := w.deliver(ctx)
	w.cancel()
	w.h.e.mu.Lock()
	delete(w.t.watches, w)
	if !w.stopped {
		w.err = fmt.Errorf("watch %s* in table %s: %w", w.prefix, w.t.name, err)
	}
	w.h.e.mu.Unlock()
	close(w.ended)
	close(w.updates)
}

// deliver returns when the watch has ended. It takes what is new, lets it travel,
// and delivers it; what was cut off on the way is taken again.
func (w *watch) deliver(ctx context.Context) error {
	var pos uint64 // what was delivered
	for marked := false; ; {
		news, to, err := w.take(ctx, pos, marked)
		if err != nil {
			return err
		}
		for _, en := range news {
			if en.deleted && !marked {
				continue
			}
			if err := w.send(ctx, en.value()); err != nil {
				return err
			}
		}
		pos = to
		if !marked {
			marked = true
			if err := w.send(ctx, bus.Value{}); err != nil {
				return err
			}
		}
	}
}

// take returns what is new after a revision, and up to which revision that is all.
// It may wait until there is something.
func (w *watch) take(ctx context.Context, pos uint64, wait bool) ([]*entry, uint64, error) {
	e := w.h.e
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		if err := w.h.reach(ctx); err != nil {
			return nil, 0, err
		}
		if w.t.dropped {
			return nil, 0, bus.ErrNoTable
		}
		news, to := w.t.since(pos, w.prefix), w.t.rev
		if len(news) > 0 || !wait {
			if err := w.h.sleep(ctx, w.h.delay()); err != nil {
				return nil, 0, err
			}
			if err := w.h.running(); err != nil {
				return nil, 0, err
			}
			if w.h.connected {
				return news, to, nil
			}
			continue
		}
		pos = to
		e.mu.Unlock()
		select {
		case <-w.news:
		case <-ctx.Done():
		case <-w.h.dead:
		}
		e.mu.Lock()
	}
}

func (w *watch) send(ctx context.Context, v bus.Value) error {
	w.h.e.mu.Lock()
	err := w.h.running()
	w.h.e.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case w.updates <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-w.h.dead:
		return bus.ErrClosed
	}
}
