// Package natsbus is the engine NATS with JetStream.
//
// A table is a stream, HYDRA_<name>, that keeps the last message of each subject:
//
//	hydra.t.<name>.<id>.v.<key>                      the value, or where its parts are
//	hydra.t.<name>.<id>.p.<key>.:.<nonce>.<number>   a part
//
// id is random and in the metadata of the stream: who has a table that was dropped
// reaches nothing, though there be a new one of that name. A revision is a
// sequence number of the stream. Values are read from the stream's leader, for a
// follower may be late; parts, which never change, from anyone. Messages are
// those of NATS, under hydra.m.
package natsbus

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hydrawalk/hydra/internal/bus"
)

// Options tell Connect where the engine is. Credentials of one kind are given, or
// none.
type Options struct {
	URL            string // nats://host:port, several joined with commas
	User, Password string
	Token          string
	CredsFile      string
	// Login, when set, is asked for the user and the password whenever a
	// connection is made, instead of those above: an engine that was away may be
	// back with others.
	Login func() (user, password string)
	// NKeyFile has the seed of an nkey.
	NKeyFile string
	// TLS, when set, begins each connection, before anything else is said.
	TLS *tls.Config
	// TLSLater is for engines that greet before TLS begins.
	TLSLater bool
	// Inbox is where answers come, a subject of NATS that nobody else may listen at.
	// "": each connection has one that cannot be guessed.
	Inbox string
	// AskToSweep has parts of old values removed by a Bus with Sweeps, for a
	// connection that has no right to do it.
	AskToSweep, Sweeps bool
	// InProcess is a server of this process, instead of URL.
	InProcess nats.InProcessConnProvider
	// Shown is what errors call the engine; "": its URL.
	Shown string
	// Name of this connection, for those who look at the engine.
	Name string
	// Wait makes Connect try again until the engine is in reach, or the context
	// ends. Credentials that are refused still end it.
	Wait bool
	// Retrying is called before each wait.
	Retrying func(err error, in time.Duration)
	// Refused is called when the engine was away, is back, and does not take the
	// credential any more. It is tried again all the same.
	Refused func(err error)
	// Replicas of the tables that Create makes; 0: 1.
	Replicas int
	// Memory keeps tables that Create makes in memory, for tests.
	Memory bool
}

const (
	pingInterval = 5 * time.Second // a connection that is dead is noticed in three of these
	dialTimeout  = 5 * time.Second
	minWait      = 50 * time.Millisecond // between attempts to connect
	maxWait      = 2 * time.Second
)

// Bus is a connection. It implements [bus.Bus].
type Bus struct {
	nc    *nats.Conn
	js    jetstream.JetStream
	o     Options
	life  context.Context // ends with Close
	end   context.CancelCauseFunc
	state state
	work  group // watches

	refused refusals
}

var _ bus.Bus = (*Bus)(nil)

// Connect returns ErrAuth or ErrUnreachable, or the context's error, if it fails.
func Connect(ctx context.Context, o Options) (*Bus, error) {
	b := &Bus{o: o}
	b.life, b.end = context.WithCancelCause(context.Background())
	b.state.init()
	for attempt := 0; ; attempt++ {
		nc, err := nats.Connect(o.URL, b.options(ctx)...)
		if err == nil {
			b.nc = nc
			break
		}
		err = connectError(o, err)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", err, ctx.Err())
		}
		if !o.Wait || errors.Is(err, bus.ErrAuth) {
			return nil, err
		}
		wait := backOff(attempt)
		if o.Retrying != nil {
			o.Retrying(err, wait)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", err, ctx.Err())
		}
	}
	js, err := jetstream.New(b.nc)
	if err != nil {
		b.nc.Close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	b.js = js
	b.state.start(b.nc.IsConnected)
	if o.Sweeps {
		if err := b.serveSweeps(); err != nil {
			b.Close()
			return nil, err
		}
	}
	return b, nil
}

func (b *Bus) options(ctx context.Context) []nats.Option {
	o := &b.o
	opts := []nats.Option{
		nats.Name(o.Name),
		nats.Timeout(dialTimeout),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // the engine may be back with another user file
		nats.CustomReconnectDelay(backOff),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(10 * time.Second),
		// A hint that is late is of no use, and what is written to tables is sent
		// again by who wrote it: nothing is kept while there is no connection.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { b.state.set(false) }),
		nats.ReconnectHandler(func(*nats.Conn) { b.state.set(true) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			b.refused.note(err)
			b.outcast(err)
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.outcast(err) }),
		nats.InProcessServer(o.InProcess),
	}
	if o.InProcess == nil {
		opts[len(opts)-1] = nats.SetCustomDialer(dialer{ctx, b.life})
	}
	if o.TLS != nil {
		opts = append(opts, nats.Secure(o.TLS))
		if !o.TLSLater {
			opts = append(opts, nats.TLSHandshakeFirst())
		}
	}
	if o.Inbox != "" {
		opts = append(opts, nats.CustomInboxPrefix(o.Inbox))
	}
	switch {
	case o.NKeyFile != "":
		nkey, err := nats.NkeyOptionFromSeed(o.NKeyFile)
		if err != nil {
			nkey = func(*nats.Options) error { return err }
		}
		opts = append(opts, nkey)
	case o.Login != nil:
		opts = append(opts, nats.UserInfoHandler(o.Login))
	case o.User != "":
		opts = append(opts, nats.UserInfo(o.User, o.Password))
	case o.Token != "":
		opts = append(opts, nats.Token(o.Token))
	case o.CredsFile != "":
		opts = append(opts, nats.UserCredentials(o.CredsFile))
	}
	return opts
}

// outcast tells that the engine, which was away, does not let us in again.
func (b *Bus) outcast(err error) {
	if err = connectError(b.o, err); b.o.Refused != nil && errors.Is(err, bus.ErrAuth) {
		b.o.Refused(err)
	}
}

// dialer gives up with the context of Connect, and later with Close.
type dialer struct{ connect, life context.Context }

func (d dialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.life, dialTimeout)
	defer cancel()
	if d.connect.Err() == nil {
		defer context.AfterFunc(d.connect, cancel)()
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

func connectError(o Options, err error) error {
	where := cmp.Or(o.Shown, o.URL)
	if o.InProcess != nil {
		where = "the server of this process"
	}
	// While it connects, the library has only the text for some of its errors.
	text := strings.ToLower(err.Error())
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		return fmt.Errorf("connect to %s: %w", where, bus.ErrAuth)
	case errors.Is(err, nats.ErrAuthRevoked), strings.Contains(text, nats.AUTHENTICATION_REVOKED_ERR):
		return fmt.Errorf("connect to %s: %w: %w", where, bus.ErrAuth, bus.ErrRevoked)
	case errors.Is(err, nats.ErrAuthExpired), strings.Contains(text, nats.AUTHENTICATION_EXPIRED_ERR):
		return fmt.Errorf("connect to %s: %w: it has expired", where, bus.ErrAuth)
	}
	_, alert := errors.AsType[tls.AlertError](err)
	if alert || errors.Is(err, nats.ErrAccountAuthExpired) {
		return fmt.Errorf("connect to %s: %w: %w", where, bus.ErrAuth, err)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("connect to %s: %w: %w", where, bus.ErrAuth, err)
	}
	if errors.Is(err, nats.ErrNoServers) {
		err = syscall.ECONNREFUSED // which the library hides
	}
	return fmt.Errorf("connect to %s: %w: %w", where, bus.ErrUnreachable, err)
}

// backOff doubles from minWait to maxWait, with jitter: many clients lose their
// engine in the same moment.
func backOff(attempt int) time.Duration {
	d := min(maxWait, minWait<<min(max(attempt, 0), 10))
	return d/2 + rand.N(d/2+1)
}

// Connected implements [bus.Bus].
func (b *Bus) Connected() (bool, <-chan struct{}) { return b.state.get() }

// Close implements [bus.Bus].
func (b *Bus) Close() error {
	b.end(bus.ErrClosed)
	b.nc.Close()
	b.state.close()
	b.work.wait()
	return nil
}

// Publish implements [bus.Bus].
func (b *Bus) Publish(subject string, data []byte) error {
	if err := bus.CheckSubject(subject); err != nil {
		return err
	}
	if len(data) > bus.MaxMessage {
		return fmt.Errorf("publish %s: %w", subject, bus.ErrTooLarge)
	}
	return b.hint("publish", subject, b.nc.Publish(messages+subject, data))
}

// hint is the error of a message that may get lost.
func (b *Bus) hint(op, subject string, err error) error {
	switch {
	case errors.Is(err, nats.ErrConnectionClosed):
		return fmt.Errorf("%s %s: %w", op, subject, bus.ErrClosed)
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%s %s: %w", op, subject, bus.ErrTooLarge)
	}
	return nil
}

// messages is before all subjects of messages.
const messages = "hydra.m."

// What waits for a subscriber: more is lost.
const (
	maxWaiting      = 64 << 10
	maxWaitingBytes = 64 << 20
)

// Subscribe implements [bus.Bus].
func (b *Bus) Subscribe(pattern string, f func(bus.Msg)) (bus.Subscription, error) {
	if err := bus.CheckPattern(pattern); err != nil {
		return nil, err
	}
	sub, err := b.nc.Subscribe(messages+pattern, func(m *nats.Msg) {
		msg := bus.Msg{Subject: strings.TrimPrefix(m.Subject, messages), Data: m.Data}
		if m.Reply != "" {
			msg.Reply = func(data []byte) error {
				if len(data) > bus.MaxMessage {
					return fmt.Errorf("reply to %s: %w", msg.Subject, bus.ErrTooLarge)
				}
				return b.hint("reply to", msg.Subject, b.nc.Publish(m.Reply, data))
			}
		}
		f(msg)
	})
	if errors.Is(err, nats.ErrConnectionClosed) {
		err = bus.ErrClosed
	}
	if err != nil {
		return nil, fmt.Errorf("subscribe %s: %w", pattern, err)
	}
	if err := sub.SetPendingLimits(maxWaiting, maxWaitingBytes); err != nil {
		return nil, fmt.Errorf("subscribe %s: %w", pattern, err)
	}
	if up, _ := b.Connected(); up {
		// When it fails the connection is lost, and later all is subscribed anew.
		ctx, cancel := context.WithTimeout(b.life, attemptTimeout)
		defer cancel()
		b.nc.FlushWithContext(ctx)
	}
	return subscription{sub}, nil
}

type subscription struct{ sub *nats.Subscription }

// Stop implements [bus.Subscription]. What fails is that it has ended already.
func (s subscription) Stop() { s.sub.Unsubscribe() }

// Request implements [bus.Bus].
func (b *Bus) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	if err := bus.CheckSubject(subject); err != nil {
		return nil, err
	}
	if len(data) > bus.MaxMessage {
		return nil, fmt.Errorf("request %s: %w", subject, bus.ErrTooLarge)
	}
	fail := func(err error) ([]byte, error) {
		return nil, fmt.Errorf("request %s: %w", subject, err)
	}
	if err := b.reach(ctx); err != nil {
		return fail(err)
	}
	ctx, cancel := b.bound(ctx)
	defer cancel()
	ctx, done := b.refused.watch(ctx, messages+subject)
	defer done()
	msg, err := b.nc.RequestWithContext(ctx, messages+subject, data)
	switch {
	case err == nil:
		return msg.Data, nil
	case errors.Is(context.Cause(ctx), bus.ErrAuth):
		return fail(context.Cause(ctx))
	case b.life.Err() != nil:
		return fail(bus.ErrClosed)
	case errors.Is(err, nats.ErrNoResponders):
		return fail(bus.ErrNoResponder)
	case errors.Is(err, nats.ErrMaxPayload):
		return fail(bus.ErrTooLarge)
	case ctx.Err() == nil: // it could not be sent, and so is lost
		<-ctx.Done()
		if b.life.Err() != nil {
			return fail(bus.ErrClosed)
		}
		return fail(ctx.Err())
	default:
		return fail(err)
	}
}
