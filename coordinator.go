package hydra

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/post"
	"github.com/hydrawalk/hydra/internal/server"
	"github.com/hydrawalk/hydra/internal/wire"
)

// Coordinator is what an application has on the server for one job: see [App.Server],
// [App.Start], [App.Joined] and [App.Phases]. Any goroutine may use it, until the job
// has ended.
type Coordinator[C, S any] struct {
	Log      *slog.Logger
	Settings C

	job     string
	table   bus.Table
	clients func() map[ledger.ClientID]string
	stats   func(context.Context) (*S, error)
	p       *parts
}

// ClientInfo tells of a client.
type ClientInfo struct{ ID, Host string }

// Phase is what an application does after the walk, on the server: see [App.Phases].
type Phase[C, S any] struct {
	Name string // is shown as the state of the job; letters, digits, - and _
	Run  func(context.Context, *Coordinator[C, S]) error
}

// Job names the job.
func (c *Coordinator[C, S]) Job() string { return c.job }

func (c *Coordinator[C, S]) parts() *parts { return orNone(c.p) }

// Clients are those that take part now, sorted by ID. They come and go.
func (c *Coordinator[C, S]) Clients() []ClientInfo {
	var all []ClientInfo
	for id, host := range c.clients() {
		all = append(all, ClientInfo{string(id), host})
	}
	slices.SortFunc(all, func(a, b ClientInfo) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Stats are the merged statistics, as far as clients have written them down: in a
// phase those of the whole walk. They are the caller's own. Finish was not called.
func (c *Coordinator[C, S]) Stats(ctx context.Context) (*S, error) { return c.stats(ctx) }

// mostAttached is how many bytes of JSON one name can be given.
const mostAttached = 16 << 20

// Attach adds to the result: its JSON has v under phases, then name, which is made of
// letters, digits, - and _. It takes the place of what the name had.
func (c *Coordinator[C, S]) Attach(ctx context.Context, name string, v any) error {
	data, err := json.Marshal(v)
	switch {
	case err != nil:
	case !token(name):
		err = fmt.Errorf("%q is no name: letters, digits, - and _ are", name)
	case len(data) > mostAttached:
		err = fmt.Errorf("%d bytes are too many", len(data))
	default:
		err = attach(ctx, c.table, name, data)
	}
	if err != nil {
		return fmt.Errorf("attach %s to the result: %w", name, err)
	}
	return nil
}

func attach(ctx context.Context, table bus.Table, name string, data []byte) error {
	key := wire.PrefixAttached + name
	for {
		v, err := table.Get(ctx, key)
		if err != nil && !errors.Is(err, bus.ErrNoKey) {
			return err
		}
		if err == nil && bytes.Equal(v.Data, data) {
			return nil
		}
		_, err = table.Put(ctx, key, data, v.Rev)
		if err == nil || !errors.Is(err, bus.ErrConflict) && !errors.Is(err, bus.ErrUnknown) || errors.Is(err, bus.ErrClosed) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// attached reads what was attached.
func attached(ctx context.Context, table bus.Table) (map[string]json.RawMessage, error) {
	values, err := table.List(ctx, wire.PrefixAttached)
	if err != nil || len(values) == 0 {
		return nil, err
	}
	all := map[string]json.RawMessage{}
	for _, v := range values {
		all[strings.TrimPrefix(v.Key, wire.PrefixAttached)] = v.Data
	}
	return all, nil
}

// part is an application's part on the server, or in a run in this process.
type part[C, S any] struct {
	app    *App[C, S]
	co     *Coordinator[C, S]
	office *post.Office // nil if there are no topics
	inbox  *post.Inbox
	life   context.Context // of receivers
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// newPart makes a part. name is one that no sender had.
func newPart[C, S any](app *App[C, S], co *Coordinator[C, S], name string) *part[C, S] {
	p := &part[C, S]{app: app, co: co}
	p.life, p.cancel = context.WithCancel(context.Background())
	if len(app.Topics) == 0 {
		return p
	}
	p.office = post.NewOffice(co.table)
	p.inbox = post.NewInbox(p.office, post.InboxOptions{
		Prefix: wire.PrefixToServer,
		Remove: func(*wire.Letter) bool { return true },
		Log:    co.Log,
	})
	desk := p.office.Desk(wire.Address{Role: wire.RoleServer}, name)
	co.p = &parts{
		topics:  app.Topics,
		desk:    func(context.Context) (*post.Desk, error) { return desk, nil },
		receive: p.inbox.Receive,
	}
	return p
}

// Begin implements the server's Part.
func (p *part[C, S]) Begin(ctx context.Context) error {
	if p.app.Server != nil {
		if err := p.app.Server(ctx, p.co); err != nil {
			return err
		}
	}
	if p.inbox != nil {
		p.wg.Go(func() { p.inbox.Run(p.life) })
	}
	return nil
}

// Start implements the server's Part.
func (p *part[C, S]) Start(ctx context.Context) error {
	if p.app.Start == nil {
		return nil
	}
	return p.app.Start(ctx, p.co)
}

// Joined implements the server's Part.
func (p *part[C, S]) Joined(ctx context.Context, id ledger.ClientID, host string) error {
	if p.app.Joined == nil {
		return nil
	}
	return p.app.Joined(ctx, p.co, ClientInfo{string(id), host})
}

// Phase implements the server's Part.
func (p *part[C, S]) Phase(ctx context.Context, n int) error {
	phase := &p.app.Phases[n]
	if err := phase.Run(ctx, p.co); err != nil {
		return fmt.Errorf("%s: %w", phase.Name, err)
	}
	return nil
}

// Settle implements the server's Part.
func (p *part[C, S]) Settle(ctx context.Context) error {
	if p.inbox == nil {
		return nil
	}
	return p.inbox.Drain(ctx)
}

// Close implements the server's Part.
func (p *part[C, S]) Close() {
	p.cancel()
	ended(&p.wg, p.co.Log)
	if p.office != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		p.office.Close(ctx)
	}
}

// needsServer tells whether the application has a part on the server.
func (a *App[C, S]) needsServer() bool {
	return a.Server != nil || a.Start != nil || a.Joined != nil || len(a.Phases) > 0
}

func (a *App[C, S]) phaseNames() []string {
	var names []string
	for _, p := range a.Phases {
		names = append(names, p.Name)
	}
	return names
}

// checkParts tells what is wrong with the topics and phases of an application.
func (a *App[C, S]) checkParts() error {
	if err := checkTopics(a.Topics); err != nil {
		return fmt.Errorf("the application %s: %w", a.Name, err)
	}
	for _, p := range a.Phases {
		if !token(p.Name) || p.Run == nil {
			return fmt.Errorf("the application %s: a phase needs a Run and a name of letters, digits, - and _: %q", a.Name, p.Name)
		}
	}
	return nil
}

// serverApp lets a server use an App.
type serverApp[C, S any] struct {
	app *App[C, S]
	log *slog.Logger
}

func (a serverApp[C, S]) ID() wire.AppID { return wire.AppID{Name: a.app.Name, Version: a.app.Version} }

func (a serverApp[C, S]) Coordinate(spec *wire.Spec, desk server.Desk) (server.Part, error) {
	co := &Coordinator[C, S]{
		Log: (&Options{Logger: a.log}).logger(a.app.Name), job: spec.Job, table: desk.Table, clients: desk.Clients,
	}
	if err := json.Unmarshal(spec.Settings, &co.Settings); err != nil {
		return nil, fmt.Errorf("the settings of the job: %w", err)
	}
	co.stats = func(ctx context.Context) (*S, error) {
		plain := *a.app
		plain.Finish = nil
		doc, err := readPart(ctx, desk.Table, &plain, &Options{}, "", "")
		if doc == nil {
			return nil, err
		}
		return doc.(*Result[S]).Stats, nil // how the job ended is not known yet
	}
	return newPart(a.app, co, desk.Name), nil
}
