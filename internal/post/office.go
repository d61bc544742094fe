// Package post carries an application's own messages between the parties of a job:
// at least once, and in order for one sender.
//
// A letter is a value in the job's table, under a key of its own. It is sent when it
// is durable; only then the sender's next one is written. Whoever it is for watches
// the table, in which letters stand in the order in which they were written.
//
//	Desk.Send ─► table ─► Inbox (or Crowd) ─► f
package post

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// Why a letter is not sent.
var (
	ErrLarge = fmt.Errorf("a message is at most %d KiB of JSON", wire.MaxLetter>>10)
	ErrMany  = fmt.Errorf("the job has %d messages, and more are not kept", wire.MaxLetters)
)

// Bounds of the stamps that an office has.
const (
	stampsAtOnce = 64
	mostStamps   = 2 * stampsAtOnce
)

// An Office writes letters into the table of a job, and removes them. Any goroutine
// may use it.
//
// So that there are never too many of them, each letter needs a stamp. The table
// counts the stamps that were given out; an office takes more of them the more it
// sends, and gets one back for each letter that it removes.
type Office struct {
	table bus.Table
	turn  chan struct{} // holds a token while somebody uses what follows
	have  int           // stamps
	next  int           // how many to take
}

// NewOffice makes an office at a table.
func NewOffice(table bus.Table) *Office {
	return &Office{table: table, turn: make(chan struct{}, 1), next: 1}
}

// stamp takes one stamp.
func (o *Office) stamp(ctx context.Context) error {
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if o.have == 0 {
		err := o.count(ctx, func(n int) (int, error) {
			if n >= wire.MaxLetters {
				return 0, ErrMany
			}
			o.have = min(o.next, wire.MaxLetters-n)
			return n + o.have, nil
		})
		if err != nil {
			o.have = 0
			return err
		}
		o.next = min(2*o.next, stampsAtOnce)
	}
	o.have--
	return nil
}

// unstamp gives the stamp of a letter back that is there no more.
func (o *Office) unstamp(ctx context.Context) {
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		return // a stamp is lost
	}
	if o.have++; o.have > mostStamps {
		o.giveBack(ctx, stampsAtOnce)
	}
}

// Close gives back what stamps are left. It waits for the engine as long as ctx
// lasts: what is not given back only makes the job full sooner.
func (o *Office) Close(ctx context.Context) {
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
		o.giveBack(ctx, o.have)
	case <-ctx.Done():
	}
}

func (o *Office) giveBack(ctx context.Context, n int) {
	if n == 0 {
		return
	}
	err := o.count(ctx, func(all int) (int, error) { return max(0, all-n), nil })
	if err == nil {
		o.have -= n
	}
}

// count changes how many stamps there are. If nobody knows whether that was done, it
// is done again: rather too many are counted than too few letters.
func (o *Office) count(ctx context.Context, change func(int) (int, error)) error {
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		v, err := o.table.Get(ctx, wire.KeyLetters)
		if err != nil && !errors.Is(err, bus.ErrNoKey) {
			return fmt.Errorf("count the messages: %w", err)
		}
		n, _ := strconv.Atoi(string(v.Data))
		if n, err = change(n); err != nil {
			return err
		}
		_, err = o.table.Put(ctx, wire.KeyLetters, strconv.AppendInt(nil, int64(n), 10), v.Rev)
		if err == nil || !errors.Is(err, bus.ErrConflict) && !again(err) {
			return err
		}
		if !wait(ctx, pause) {
			return fmt.Errorf("count the messages: %w: %w", context.Cause(ctx), err)
		}
	}
}

const (
	firstPause = 10 * time.Millisecond
	mostPause  = time.Second
)

// again tells whether a write is to be tried again: nobody knows whether it was done.
func again(err error) bool {
	return errors.Is(err, bus.ErrUnknown) && !errors.Is(err, bus.ErrClosed)
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// A Desk is one sender. Any goroutine may use it; letters are written one at a time.
type Desk struct {
	o    *Office
	from wire.Address
	name string

	turn    chan struct{} // holds a token while somebody sends
	n       uint64
	pending *wire.Letter // of which nobody knows whether it was written
}

// Desk makes a sender. name is one that nobody else has, or had.
func (o *Office) Desk(from wire.Address, name string) *Desk {
	return &Desk{o: o, from: from, name: name, turn: make(chan struct{}, 1)}
}

// Send returns when the letter is durable. After an error it is not, nor will be,
// unless that is ctx's or says that the outcome is unknown: then it may come yet, but
// never after one that is sent later.
func (d *Desk) Send(ctx context.Context, topic string, to wire.Address, data []byte) error {
	if len(data) > wire.MaxLetter {
		return ErrLarge
	}
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if d.pending != nil {
		if err := d.deliver(ctx); err != nil {
			return err
		}
	}
	if err := d.o.stamp(ctx); err != nil {
		return err
	}
	d.n++
	d.pending = &wire.Letter{Topic: topic, From: d.from, To: to, Sender: d.name, N: d.n, At: time.Now(), Data: data}
	return d.deliver(ctx)
}

// deliver writes the pending letter until it is certain what became of it.
func (d *Desk) deliver(ctx context.Context) error {
	key, data := wire.KeyLetter(d.pending), ledger.Encode(d.pending)
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		_, err := d.o.table.Put(ctx, key, data, 0)
		switch {
		case err == nil:
			d.pending = nil
			return nil
		case errors.Is(err, bus.ErrConflict):
			v, getErr := d.o.table.Get(ctx, key)
			switch {
			case errors.Is(getErr, bus.ErrNoKey): // it was read and removed meanwhile
				d.pending = nil
				return nil
			case getErr == nil && bytes.Equal(v.Data, data): // it was we, a moment ago
				d.pending = nil
				return nil
			case getErr == nil:
				d.pending = nil
				return fmt.Errorf("send a message: %s has been written by somebody else", key)
			case ctx.Err() != nil:
				return getErr
			}
		case !again(err):
			d.pending = nil
			return err
		}
		if !wait(ctx, pause) {
			return fmt.Errorf("send a message: %w: %w", context.Cause(ctx), err)
		}
	}
}
