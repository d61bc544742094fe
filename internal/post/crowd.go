package post

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hydrawalk/hydra/internal/wire"
)

// A Crowd gives each letter to all workers of a client, also to those that begin
// later.
type Crowd struct {
	// Poke is called, by any goroutine, when the workers should look. It may be nil.
	Poke func()
	Log  *slog.Logger

	n       atomic.Int64 // of letters
	mu      sync.Mutex
	letters []*wire.Letter
}

// Add adds a letter.
func (c *Crowd) Add(l *wire.Letter) {
	c.mu.Lock()
	c.letters = append(c.letters, l)
	c.n.Store(int64(len(c.letters)))
	c.mu.Unlock()
	c.poke()
}

func (c *Crowd) poke() {
	if c.Poke != nil {
		c.Poke()
	}
}

// after are the letters behind the first n.
func (c *Crowd) after(n int64) []*wire.Letter {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.letters[n:len(c.letters):len(c.letters)]
}

// A Member is one worker. Only its goroutine may use it.
type Member struct {
	c         *Crowd
	done      int64 // letters that were taken in, or are of no interest
	receivers map[string]Receiver
	retry     time.Time // when a letter that was not taken comes again
}

// Member makes a member, which has to be given all letters.
func (c *Crowd) Member() *Member { return &Member{c: c, receivers: map[string]Receiver{}} }

// Receive sets the receiver of a topic, in place of the one before. Letters of topics
// without one are passed over.
func (m *Member) Receive(topic string, f Receiver) { m.receivers[topic] = f }

// Receives tells whether there is a receiver.
func (m *Member) Receives() bool { return len(m.receivers) > 0 }

// Due tells, quickly, whether there may be letters.
func (m *Member) Due() bool { return m.c.n.Load() > m.done }

// Poke is called for a member that begins: there may be letters, and nothing that it
// has to do.
func (m *Member) Poke() {
	if m.Due() {
		m.c.poke()
	}
}

// Deliver gives the member the letters that there are. An error is that of a receiver,
// to which its letter, and those behind it, come again later.
func (m *Member) Deliver(ctx context.Context) error {
	if !m.retry.IsZero() && time.Now().Before(m.retry) {
		return nil
	}
	m.retry = time.Time{}
	for _, l := range m.c.after(m.done) {
		if f := m.receivers[l.Topic]; f != nil {
			if err := take(ctx, f, l, m.c.Log); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				m.c.Log.Warn("a message was not taken: it comes again", "topic", l.Topic, "from", string(l.From.Role), "err", err)
				m.retry = time.Now().Add(RetryAfter)
				time.AfterFunc(RetryAfter, m.c.poke)
				return err
			}
		}
		m.done++
	}
	return nil
}
