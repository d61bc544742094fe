package post

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/wire"
)

// Receiver takes a letter in. After an error it is called with it again.
type Receiver func(context.Context, *wire.Letter) error

// Unfit is the error of a letter that its receiver can not read. It is left out: it
// would not be better the next time.
type Unfit struct{ Err error }

func (e *Unfit) Error() string { return e.Err.Error() }

// RetryAfter is how long a letter waits that its receiver did not take.
const RetryAfter = time.Second

// InboxOptions of an inbox.
type InboxOptions struct {
	Prefix string // of the table
	// Mine tells which letters are for this inbox; nil: all. It is called by one
	// goroutine, once for each letter and in their order.
	Mine func(*wire.Letter) bool
	// Remove tells which letters are removed when they were taken in; nil: none.
	Remove func(*wire.Letter) bool
	Log    *slog.Logger
}

// An Inbox gives letters to receivers, one at a time and in the order in which they
// were written. Letters of a topic without a receiver wait until there is one; others
// pass them.
//
// What was taken in comes again only to another inbox: if it was not removed.
type Inbox struct {
	office *Office
	o      InboxOptions

	mu        sync.Mutex
	receivers map[string]Receiver
	queue     []arrived
	seen      map[string]uint64 // the last letter of each sender that is in the queue, or was
	taken     map[string]uint64 // the last one of each sender that was taken in
	busy      bool              // a receiver is being called
	gone      error             // why no more letters come
	news      chan struct{}     // closed when something of this has changed
}

type arrived struct {
	key    string
	letter *wire.Letter
}

// NewInbox makes an inbox; Run lets it work.
func NewInbox(o *Office, options InboxOptions) *Inbox {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &Inbox{
		office: o, o: options, receivers: map[string]Receiver{},
		seen: map[string]uint64{}, taken: map[string]uint64{}, news: make(chan struct{}),
	}
}

// Receive sets the receiver of a topic, in place of the one before.
func (b *Inbox) Receive(topic string, f Receiver) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.receivers[topic] = f
	b.changed()
}

// changed tells who waits for news; mu is held.
func (b *Inbox) changed() {
	close(b.news)
	b.news = make(chan struct{})
}

// Run reads letters and calls receivers until ctx is cancelled, or the table is gone.
// It waits for a receiver that is being called.
func (b *Inbox) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { b.deliver(ctx) })
	b.watch(ctx)
}

// watch puts what is written into the queue.
func (b *Inbox) watch(ctx context.Context) {
	for ctx.Err() == nil {
		w, err := b.office.table.Watch(ctx, b.o.Prefix)
		if err == nil {
			for v := range w.Updates() {
				if v.Key != "" && !v.Deleted {
					b.arrive(ctx, &v)
				}
			}
			w.Stop()
			err = w.Err()
		}
		if errors.Is(err, bus.ErrNoTable) || errors.Is(err, bus.ErrClosed) {
			b.mu.Lock()
			b.gone = err
			b.changed()
			b.mu.Unlock()
			<-ctx.Done() // what is in the queue may still be taken in
			return
		}
		wait(ctx, time.Second)
	}
}

// arrive puts a letter into the queue that is for us and was not there before.
func (b *Inbox) arrive(ctx context.Context, v *bus.Value) {
	l := new(wire.Letter)
	if err := wire.Read(v, l); err != nil {
		b.o.Log.Warn("a message is not one", "key", v.Key, "err", err)
		return
	}
	b.mu.Lock()
	if b.seen[l.Sender] >= l.N {
		twice := b.taken[l.Sender] >= l.N && b.o.Remove != nil && b.o.Remove(l)
		b.mu.Unlock()
		if twice { // written once more by a write that came late
			_ = b.office.table.Delete(ctx, v.Key)
		}
		return
	}
	b.mu.Unlock()
	mine := b.o.Mine == nil || b.o.Mine(l)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen[l.Sender] = l.N
	defer b.changed()
	if !mine {
		return
	}
	b.queue = append(b.queue, arrived{v.Key, l})
}

// next is the first letter that has a receiver; mu is held.
func (b *Inbox) next() (arrived, Receiver) {
	for _, a := range b.queue {
		if f := b.receivers[a.letter.Topic]; f != nil {
			return a, f
		}
	}
	return arrived{}, nil
}

// deliver calls receivers.
func (b *Inbox) deliver(ctx context.Context) {
	for ctx.Err() == nil {
		b.mu.Lock()
		a, f := b.next()
		news := b.news
		b.busy = f != nil
		b.mu.Unlock()
		if f == nil {
			select {
			case <-news:
			case <-ctx.Done():
			}
			continue
		}
		if err := take(ctx, f, a.letter, b.o.Log); err != nil {
			if ctx.Err() == nil {
				b.o.Log.Warn("a message was not taken: it comes again", "topic", a.letter.Topic, "from", string(a.letter.From.Role), "err", err)
			}
			wait(ctx, RetryAfter)
			continue
		}
		if b.o.Remove != nil && b.o.Remove(a.letter) {
			b.remove(ctx, a.key)
		}
		b.mu.Lock()
		b.queue = slices.DeleteFunc(b.queue, func(q arrived) bool { return q.letter == a.letter })
		b.taken[a.letter.Sender] = a.letter.N
		b.busy = false
		b.changed()
		b.mu.Unlock()
	}
}

// remove removes a letter that was taken in.
func (b *Inbox) remove(ctx context.Context, key string) {
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		err := b.office.table.Delete(ctx, key)
		if err == nil {
			b.office.unstamp(ctx)
			return
		}
		if !again(err) || !wait(ctx, pause) {
			return // it is there yet: another inbox takes it in again
		}
	}
}

// Drain returns when all letters were taken in that were written before it was
// called and have a receiver. Run has to be running.
func (b *Inbox) Drain(ctx context.Context) error {
	return b.reach(ctx, func() bool {
		_, f := b.next()
		return f == nil && !b.busy
	})
}

// CatchUp returns when all letters have arrived that were written before it was
// called. Run has to be running.
func (b *Inbox) CatchUp(ctx context.Context) error {
	return b.reach(ctx, func() bool { return true })
}

// reach returns when all letters have arrived that there are, and more is done, which
// is called with mu held.
func (b *Inbox) reach(ctx context.Context, more func() bool) error {
	var values []bus.Value
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		var err error
		if values, err = b.office.table.List(ctx, b.o.Prefix); err == nil {
			break
		}
		if ctx.Err() != nil || errors.Is(err, bus.ErrNoTable) || errors.Is(err, bus.ErrClosed) {
			return fmt.Errorf("look for messages: %w", err)
		}
		wait(ctx, pause)
	}
	// They come by the watch, and only by that: a list is not of one moment.
	want := map[string]uint64{}
	for _, v := range values {
		if l := new(wire.Letter); wire.Read(&v, l) == nil {
			want[l.Sender] = max(want[l.Sender], l.N)
		}
	}
	for {
		b.mu.Lock()
		done, gone, news := more(), b.gone, b.news
		for sender, n := range want {
			done = done && b.seen[sender] >= n
		}
		b.mu.Unlock()
		switch {
		case done:
			return nil
		case gone != nil:
			return fmt.Errorf("look for messages: %w", gone)
		}
		select {
		case <-news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// take calls a receiver, and says what it can not read.
func take(ctx context.Context, f Receiver, l *wire.Letter, log *slog.Logger) error {
	err := call(ctx, f, l)
	var unfit *Unfit
	if errors.As(err, &unfit) {
		log.Warn("a message is left out: it is of another type", "topic", l.Topic, "from", string(l.From.Role), "err", unfit.Err)
		return nil
	}
	return err
}

// call calls a receiver. A panic is an error.
func call(ctx context.Context, f Receiver, l *wire.Letter) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return f(ctx, l)
}
