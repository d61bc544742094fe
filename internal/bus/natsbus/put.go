package natsbus

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hydrawalk/hydra/internal/bus"
)

const (
	// A message needs room for subject and headers besides its data.
	slack = 2 << 10
	// Larger messages would keep those of others waiting.
	maxPart = 1 << 20
	// The stream's own memory of message ids is not used.
	minDuplicates = 100 * time.Millisecond
	// A connected engine that answers no write this often takes none: NATS does
	// not tell when its disk fails.
	maxUnanswered = 4
)

var errUnanswered = fmt.Errorf("%w: the engine answers no write: is its disk full?", bus.ErrUnknown)

func newNonce() (n nonce) {
	rand.Read(n[:])
	return n
}

// partSize is what the engine takes in one message.
func (b *Bus) partSize() int {
	return max(minPart, min(maxPart, int(b.nc.MaxPayload())-slack))
}

// Put implements [bus.Table].
func (t *Table) Put(ctx context.Context, key string, data []byte, rev uint64) (uint64, error) {
	if err := bus.CheckKey(key); err != nil {
		return 0, err
	}
	if len(data) > bus.MaxValue {
		return 0, fmt.Errorf("%s: %w", t.what("put", key), bus.ErrTooLarge)
	}
	e := pack(newNonce(), data)
	got, err := t.put(ctx, key, e, rev)
	if err != nil {
		return 0, t.b.changing(t.what("put", key), err)
	}
	return got, nil
}

func (t *Table) put(ctx context.Context, key string, e *envelope, rev uint64) (uint64, error) {
	keep := uint64(0) // the first part
	if parts := e.split(t.b.partSize()); len(parts) > 0 {
		var err error
		if keep, err = t.putParts(ctx, key, e.nonce, parts); err != nil {
			return 0, err
		}
	}
	got, err := t.commit(ctx, key, e, rev)
	if err != nil {
		return 0, err
	}
	t.sweep(ctx, key, rev, got, keep)
	return got, nil
}

// commit writes the message of a key if its last one is that of rev. What was
// sent and not answered may be done yet, even after the next attempt was
// answered; of all attempts, as they expect the same, one at most is.
func (t *Table) commit(ctx context.Context, key string, e *envelope, rev uint64) (uint64, error) {
	msg := nats.NewMsg(t.valueSubject(key))
	msg.Data = e.encode()
	expect := rev
	unknown, unanswered := false, 0
	for n := 0; ; n++ {
		msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(expect, 10))
		got, err := t.send(ctx, msg)
		if err == nil {
			return got, nil
		}
		code, answered := apiCode(err)
		switch {
		case code == codeWrongLast:
			h, err := t.head(ctx, key)
			switch {
			case err != nil:
				return 0, fmt.Errorf("%w: %w", bus.ErrUnknown, err)
			case h != nil && h.nonce == e.nonce: // an attempt whose answer was lost
				return h.rev, nil
			case h != nil && h.rev == expect, h == nil && expect == 0:
				continue // it has just become right
			case unknown:
				return 0, fmt.Errorf("%w: another value came after", bus.ErrUnknown)
			case rev == 0 && h != nil && h.deleted():
				expect = h.rev
				continue
			}
			return 0, bus.ErrConflict
		case answered && !passing(err), errors.Is(err, bus.ErrAuth):
			return 0, err
		case !answered && !passing(err):
			return 0, fmt.Errorf("%w: %w", bus.ErrUnknown, err)
		case errors.Is(err, nats.ErrNoResponders):
			err := t.b.retry(ctx, func(ctx context.Context) error {
				_, err := t.info(ctx)
				return err
			})
			if err != nil {
				return 0, err
			}
		case !answered:
			unknown = true
			if t.b.silent(err) {
				if unanswered++; unanswered == maxUnanswered {
					return 0, errUnanswered
				}
			}
		}
		if err := t.b.pause(ctx, n); err != nil {
			return 0, fmt.Errorf("%w: %w", bus.ErrUnknown, err)
		}
	}
}

// silent tells whether the error of an attempt is that the engine, though
// connected, did not answer.
func (b *Bus) silent(err error) bool {
	up, _ := b.Connected()
	return up && errors.Is(err, context.DeadlineExceeded)
}

// send is one attempt to store a message.
func (t *Table) send(ctx context.Context, msg *nats.Msg) (seq uint64, err error) {
	err = t.b.attempt(ctx, func(ctx context.Context) error {
		ctx, done := t.b.refused.watch(ctx, msg.Subject)
		defer done()
		answer, err := t.b.nc.RequestMsgWithContext(ctx, msg)
		if errors.Is(context.Cause(ctx), bus.ErrAuth) {
			return context.Cause(ctx)
		}
		if errors.Is(err, nats.ErrMaxPayload) {
			return fmt.Errorf("%w: %w", bus.ErrTooLarge, err)
		}
		if err != nil {
			return err
		}
		var ack struct {
			Error *apiError `json:"error"`
			Seq   uint64    `json:"seq"`
		}
		if err := json.Unmarshal(answer.Data, &ack); err != nil {
			return err
		}
		if ack.Error != nil {
			return ack.Error
		}
		seq = ack.Seq
		return nil
	})
	return seq, err
}

// putParts returns the sequence number of the first one.
func (t *Table) putParts(ctx context.Context, key string, n nonce, parts [][]byte) (uint64, error) {
	var mu sync.Mutex
	first := ^uint64(0)
	err := inParallel(ctx, partsAtOnce, len(parts), func(ctx context.Context, i int) error {
		msg := nats.NewMsg(t.partSubject(key, n.String()+"."+strconv.Itoa(i)))
		msg.Data = parts[i]
		unanswered := 0
		return t.b.retry(ctx, func(ctx context.Context) error {
			seq, err := t.send(ctx, msg)
			if t.b.silent(err) {
				if unanswered++; unanswered == maxUnanswered {
					return errUnanswered
				}
			}
			if errors.Is(err, nats.ErrNoResponders) {
				if _, err := t.info(ctx); err != nil {
					return err
				}
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			first = min(first, seq)
			return nil
		})
	})
	return first, err
}

// sweep deletes the parts of a key that a Put has made useless, those of the value
// before and of attempts that came to nothing. Only what is older than its own parts,
// or itself if it has none: others may be putting parts for the next value
// already. What fails is left to the next Put.
func (t *Table) sweep(ctx context.Context, key string, before, rev, firstPart uint64) {
	t.mu.Lock()
	nothing := before != 0 && t.clean[key] == before && firstPart == 0
	if nothing {
		t.clean[key] = rev
	} else {
		delete(t.clean, key)
	}
	t.mu.Unlock()
	if nothing {
		return
	}
	below := rev
	if firstPart != 0 {
		below = firstPart
	}
	var err error
	if t.b.o.AskToSweep {
		err = t.b.nc.Publish(sweeps+t.name+"."+t.id+"."+key, strconv.AppendUint(nil, below, 10))
	} else {
		err = t.b.attempt(ctx, func(ctx context.Context) error { return t.removeParts(ctx, key, below) })
	}
	if err == nil && firstPart == 0 {
		t.mu.Lock()
		t.clean[key] = rev
		t.mu.Unlock()
	}
}

// Delete implements [bus.Table]. The message that says so stays: who watches has
// to see it, however late.
func (t *Table) Delete(ctx context.Context, key string) error {
	if err := bus.CheckKey(key); err != nil {
		return err
	}
	for {
		h, err := t.head(ctx, key)
		if err == nil && h != nil && !h.deleted() {
			e := pack(newNonce(), nil)
			e.kind |= kindDeleted
			_, err = t.put(ctx, key, e, h.rev)
		}
		switch {
		case errors.Is(err, bus.ErrConflict):
			continue
		case err != nil:
			return t.b.changing(t.what("delete", key), err)
		}
		return nil
	}
}
