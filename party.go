package hydra

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/post"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// Client is one client's session of a job: see [App.Client].
type Client[C, S any] struct {
	ID       string // for ToClient
	Host     string
	Log      *slog.Logger
	Settings C

	p *parts
}

func (c *Client[C, S]) parts() *parts { return orNone(c.p) }
func (w *Worker[C, S]) parts() *parts { return orNone(w.p) }

func orNone(p *parts) *parts {
	if p == nil {
		return &parts{}
	}
	return p
}

// closeTime is how long receivers may take to end when their party does.
const closeTime = 5 * time.Second

// seat is a client's place in the messages of a job, and that of its workers.
type seat struct {
	topics []TopicInfo
	id     ledger.ClientID
	host   string
	name   string // of the session
	log    *slog.Logger
	office *post.Office // nil if there are no topics
	inbox  *post.Inbox
	crowd  post.Crowd

	life   context.Context // of receivers
	cancel context.CancelFunc
	wg     sync.WaitGroup

	once sync.Once
	err  error // of once

	mu    sync.Mutex
	desks int
}

// newSeat takes a seat. poke makes workers look for messages; it may be nil.
func newSeat(table bus.Table, topics []TopicInfo, id ledger.ClientID, host, name string, poke func(), log *slog.Logger) *seat {
	s := &seat{topics: topics, id: id, host: host, name: name, log: log}
	s.life, s.cancel = context.WithCancel(context.Background())
	s.crowd.Log, s.crowd.Poke = log, poke
	if len(topics) == 0 {
		return s
	}
	s.office = post.NewOffice(table)
	s.inbox = post.NewInbox(s.office, post.InboxOptions{
		Prefix: wire.PrefixToClients,
		Mine: func(l *wire.Letter) bool {
			switch {
			case l.To.Client != "" && l.To.Client != id:
				return false
			case l.To.Role == wire.RoleWorkers:
				s.crowd.Add(l)
				return false
			}
			return true
		},
		Remove: func(l *wire.Letter) bool { return l.To.Client == id && l.To.Role == wire.RoleClients },
		Log:    log,
	})
	return s
}

// desk makes a sender of this client.
func (s *seat) desk(role wire.Role) func(context.Context) (*post.Desk, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.office == nil {
		return nil
	}
	s.desks++
	d := s.office.Desk(wire.Address{Role: role, Client: s.id}, fmt.Sprintf("%s-%d", s.name, s.desks))
	return func(context.Context) (*post.Desk, error) { return d, nil }
}

// begin begins the session, once: all handlers are made after it. hook may be nil.
func (s *seat) begin(hook func(p *parts) error) error {
	s.once.Do(func() {
		p := &parts{topics: s.topics, desk: s.desk(wire.RoleClients)}
		if s.inbox != nil {
			p.receive = s.inbox.Receive
		}
		if hook != nil {
			s.err = guard("Client", func() error { return hook(p) })
		}
		if s.err == nil && s.inbox != nil {
			s.wg.Go(func() { s.inbox.Run(s.life) })
		}
	})
	return s.err
}

// worker makes the parts of a worker, and its place in the crowd.
func (s *seat) worker() (*parts, *post.Member) {
	m := s.crowd.Member()
	return &parts{topics: s.topics, desk: s.desk(wire.RoleWorkers), receive: m.Receive}, m
}

// last gives a worker that ends the messages that there are: in a run in this process
// none of it is left afterwards.
func (s *seat) last(ctx context.Context, m *post.Member) error {
	if ctx.Err() != nil || s.inbox.CatchUp(ctx) != nil {
		return nil // the run was cancelled
	}
	for m.Due() && ctx.Err() == nil {
		if err := fatal(m.Deliver(ctx)); err != nil {
			return err
		}
		if m.Due() {
			select {
			case <-time.After(post.RetryAfter):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

// close ends the session. It waits for receivers, but not for ever: they may hang in
// a system call.
func (s *seat) close() {
	s.cancel()
	ended(&s.wg, s.log)
	if s.office != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.office.Close(ctx)
	}
}

// ended waits for receivers that were cancelled.
func ended(wg *sync.WaitGroup, log *slog.Logger) {
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(closeTime):
		log.Error("a receiver of messages was cancelled and does not end")
	}
}

// guard calls a hook of the application. A panic is an error.
func guard(name string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", name, v, debug.Stack())
		}
	}()
	return f()
}

// fatal is what of a receiver's error ends the walk.
func fatal(err error) error {
	if walk.IsFatal(err) {
		return err
	}
	return nil
}

// userParts is the user's side of messages.
type userParts struct {
	mu        sync.Mutex
	receivers map[string]post.Receiver
	inbox     *post.Inbox   // nil: it is not open yet
	sender    *post.Desk    // as inbox
	opened    chan struct{} // closed when it is open or never will be
	over      bool
}

func (u *userParts) receive(topic string, f post.Receiver) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.receivers == nil {
		u.receivers = map[string]post.Receiver{}
	}
	u.receivers[topic] = f
	if u.inbox != nil {
		u.inbox.Receive(topic, f)
	}
}

// opening is closed when it is open; mu is held.
func (u *userParts) opening() chan struct{} {
	if u.opened == nil {
		u.opened = make(chan struct{})
	}
	return u.opened
}

// open opens it at a table, if it is not. show is told of each message.
func (u *userParts) open(table bus.Table, show func(UserMessage), log *slog.Logger) *post.Inbox {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.inbox != nil {
		return u.inbox
	}
	office := post.NewOffice(table)
	u.sender = office.Desk(wire.Address{Role: wire.RoleUser}, "u"+strings.ToLower(rand.Text()[:12]))
	u.inbox = post.NewInbox(office, post.InboxOptions{Prefix: wire.PrefixToUser, Log: log, Mine: func(l *wire.Letter) bool {
		if show != nil {
			show(UserMessage{From: addressOf(l.From), At: l.At, Topic: l.Topic, Value: l.Data})
		}
		return true
	}})
	for topic, f := range u.receivers {
		u.inbox.Receive(topic, f)
	}
	close(u.opening())
	return u.inbox
}

// close says that there is no run any more.
func (u *userParts) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over = true; u.inbox == nil {
		close(u.opening())
	}
}

// desk waits until it is open.
func (u *userParts) desk(ctx context.Context) (*post.Desk, error) {
	u.mu.Lock()
	opened := u.opening()
	u.mu.Unlock()
	select {
	case <-opened:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over || u.sender == nil {
		return nil, errors.New("the run has ended")
	}
	return u.sender, nil
}

// UserMessage is a message to the user, of any topic.
type UserMessage struct {
	From  Address
	At    time.Time
	Topic string
	Value json.RawMessage
}

// User is the user's part in the messages of one run in this process: see
// [Options.User] and [NewUser]. What is sent before the run begins waits for it.
type User struct {
	topics []TopicInfo
	u      userParts
}

// NewUser makes the user of a run of an application.
func NewUser(app Application) *User { return &User{topics: app.Info().Topics} }

func (u *User) parts() *parts {
	return &parts{topics: u.topics, desk: u.u.desk, receive: u.u.receive}
}
