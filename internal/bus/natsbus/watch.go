package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hydrawalk/hydra/internal/bus"
)

const (
	// Of one watch that are under way or wait for the reader.
	pullBytes = 4 << 20
	// A pull request that nothing is said about is made anew.
	pullExpiry    = time.Minute
	pullHeartbeat = 15 * time.Second
	// A consumer that nobody asks is removed by the engine.
	forgetConsumer = 2 * time.Minute
)

// watch is a position in the stream. What reads it there, a consumer, is made
// anew from that position whenever something is amiss: as the stream keeps the
// last message of each key, nothing is missed that was not replaced.
type watch struct {
	t       *Table
	prefix  string
	cancel  context.CancelFunc
	updates chan bus.Value
	ended   chan struct{}
	stopped atomic.Bool
	err     error // written before ended is closed

	pos    uint64 // all up to this one was delivered or is of no interest
	last   uint64 // of the stream when the watch began; 0: that is to come
	marked bool   // the mark is sent: all up to last was delivered
}

// Watch implements [bus.Table].
func (t *Table) Watch(ctx context.Context, prefix string) (bus.Watch, error) {
	if err := bus.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	ctx, cancel := t.b.bound(ctx)
	w := &watch{
		t: t, prefix: prefix, cancel: cancel,
		updates: make(chan bus.Value), ended: make(chan struct{}),
	}
	err := t.b.retry(ctx, func(ctx context.Context) error {
		_, err := t.info(ctx)
		return err
	})
	if err == nil && !t.b.work.begin(func() { w.run(ctx) }) {
		err = bus.ErrClosed
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("%s: %w", t.what("watch", prefix+"*"), t.b.explain(err))
	}
	return w, nil
}

func (w *watch) Updates() <-chan bus.Value { return w.updates }

func (w *watch) Err() error {
	<-w.ended
	return w.err
}

func (w *watch) Stop() {
	w.stopped.Store(true)
	w.cancel()
	<-w.ended
}

func (w *watch) run(ctx context.Context) {
	var err error
	for n := 0; ; n++ {
		before := w.pos
		err = w.follow(ctx)
		if ctx.Err() != nil {
			err = ctx.Err()
			if w.t.b.life.Err() != nil {
				err = bus.ErrClosed
			}
			break
		}
		if err != nil && !passing(err) {
			break
		}
		if w.pos > before {
			n = 0
		}
		if w.t.b.pause(ctx, n) != nil {
			continue // and find out why
		}
	}
	w.cancel()
	if !w.stopped.Load() {
		w.err = fmt.Errorf("%s: %w", w.t.what("watch", w.prefix+"*"), w.t.b.explain(err))
	}
	close(w.ended)
	close(w.updates)
}

// follow reads on from the position until something is amiss. An error that is
// not passing ends the watch.
func (w *watch) follow(ctx context.Context) error {
	b := w.t.b
	if err := b.reach(ctx); err != nil {
		return err
	}
	// Interrupted by a lost connection, even if that is back at once: what was
	// asked for may not have come to the engine.
	session := b.state.now()
	var consumer jetstream.Consumer
	err := b.attempt(ctx, func(ctx context.Context) error {
		info, err := w.t.info(ctx)
		if err != nil {
			return err
		}
		if last := info.State.LastSeq; last < w.pos {
			return fmt.Errorf("%w: it ends at revision %d, and was at %d", bus.ErrNoTable, last, w.pos)
		} else if w.last == 0 {
			w.last = last
		}
		consumer, err = b.js.CreateConsumer(ctx, streamPrefix+w.t.name, jetstream.ConsumerConfig{
			FilterSubject:     w.t.valueSubject(w.prefix + ">"),
			AckPolicy:         jetstream.AckNonePolicy,
			DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
			OptStartSeq:       w.pos + 1,
			InactiveThreshold: forgetConsumer,
			MemoryStorage:     true,
			Replicas:          1,
		})
		return err
	})
	if err != nil {
		return err
	}
	defer b.forget(w.t.name, consumer.CachedInfo().Name)
	if consumer.CachedInfo().NumPending == 0 {
		if err := w.mark(ctx); err != nil {
			return err
		}
	}
	messages, err := consumer.Messages(
		jetstream.PullMaxBytes(pullBytes),
		jetstream.PullExpiry(pullExpiry),
		jetstream.PullHeartbeat(pullHeartbeat),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return errAmiss
	}
	defer messages.Stop()
	defer context.AfterFunc(session, messages.Stop)()
	defer context.AfterFunc(ctx, messages.Stop)()
	for delivered := uint64(1); ; delivered++ {
		m, err := messages.Next()
		if err != nil {
			return errAmiss
		}
		meta, err := m.Metadata()
		if err != nil || meta.Sequence.Consumer != delivered {
			return errAmiss // one was lost on the way
		}
		if meta.Sequence.Stream > w.last {
			if err := w.mark(ctx); err != nil {
				return err
			}
		}
		if err := w.deliver(ctx, m, meta.Sequence.Stream); err != nil {
			return err
		}
		w.pos = meta.Sequence.Stream
		if meta.NumPending == 0 {
			if err := w.mark(ctx); err != nil {
				return err
			}
		}
	}
}

// errAmiss makes follow begin anew, as passing errors do.
var errAmiss = fmt.Errorf("the watch was interrupted: %w", context.Canceled)

func (w *watch) deliver(ctx context.Context, m jetstream.Msg, seq uint64) error {
	key, ok := strings.CutPrefix(m.Subject(), w.t.valueSubject(""))
	if !ok || bus.CheckKey(key) != nil {
		return nil // nobody of us wrote it
	}
	e, err := decode(m.Data())
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	h := &head{e, seq}
	if h.deleted() {
		if !w.marked {
			return nil
		}
		return w.send(ctx, bus.Value{Key: key, Rev: seq, Deleted: true})
	}
	data, err := w.t.data(ctx, key, h)
	if errors.Is(err, errGone) {
		// It was replaced, and what did comes later; unless that is not so.
		now, err := w.t.head(ctx, key)
		if err != nil {
			return err
		}
		if now == nil || now.rev == seq {
			return fmt.Errorf("%s: %w: %w", key, errDamaged, errGone)
		}
		return nil
	}
	if err != nil {
		return err
	}
	return w.send(ctx, bus.Value{Key: key, Data: data, Rev: seq})
}

func (w *watch) mark(ctx context.Context) error {
	if w.marked {
		return nil
	}
	w.marked = true
	return w.send(ctx, bus.Value{})
}

func (w *watch) send(ctx context.Context, v bus.Value) error {
	select {
	case w.updates <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// forget removes a consumer without waiting for the answer; what is lost here is
// removed by the engine later.
func (b *Bus) forget(table, consumer string) {
	b.nc.PublishRequest("$JS.API.CONSUMER.DELETE."+streamPrefix+table+"."+consumer, b.nc.NewRespInbox(), nil)
}
