package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// App is an application of which a part runs on the server.
type App interface {
	ID() wire.AppID
	// Coordinate begins its part of a job.
	Coordinate(spec *wire.Spec, desk Desk) (Part, error)
}

// Part is what an application does on the server for one job. One goroutine calls its
// methods, all but Close with a context that ends with the job, with the claim of this
// server, and with the server. Those that return nil are not called again for the
// job, unless the server dies before that is written.
type Part interface {
	// Begin is called first, on each server that takes the job over.
	Begin(context.Context) error
	// Start is called before the walk.
	Start(context.Context) error
	// Joined is called for each client that takes part.
	Joined(context.Context, ledger.ClientID, string) error
	// Phase does what comes after the walk: number n.
	Phase(ctx context.Context, n int) error
	// Settle returns when what was sent to the server was taken in.
	Settle(context.Context) error
	// Close ends what Begin began.
	Close()
}

// Desk is what a Part has of its job. Any goroutine may use it.
type Desk struct {
	Table bus.Table
	// Name is one that no other Part of the job has, or had.
	Name string
	// Clients are those that take part now, with their hosts.
	Clients func() map[ledger.ClientID]string
}

// view is what the goroutine of the hooks sees of the job.
type view struct {
	phase   ledger.Phase
	hooks   ledger.Hooks
	clients map[ledger.ClientID]string
	spec    *wire.Spec // with what users changed
}

// askHook is the kind of a command that says what a hook did.
const askHook = "hook"

// hookDone is what a hook did.
type hookDone struct {
	what   hook
	client ledger.ClientID
	phase  int
	failed string // why, or ""
}

type hook uint8

const (
	hookStart hook = iota
	hookJoined
	hookPhase
	hookSettle
)

// app is an application that the server has, or nil.
func (s *server) app(id wire.AppID) App {
	for _, a := range s.o.Apps {
		if a.ID() == id {
			return a
		}
	}
	return nil
}

// begun tells whether the walk may begin.
func (j *job) begun() bool {
	if !j.spec.NeedsServer || j.ledger.Hooks.Started {
		return true
	}
	if j.s.app(j.app()) == nil {
		j.wait(fmt.Sprintf("this server does not have the application %s, and another one that has it is not there yet", j.app()))
	} else {
		j.wait("the application prepares the walk")
	}
	return false
}

// allDone says that nothing remains, neither of the walk nor of what comes after it.
func (j *job) allDone() bool {
	l := j.ledger
	return l.Done() && (!j.spec.Tail || l.Tailed || l.NoRoot()) && (!j.spec.NeedsServer || l.Hooks.Finished || l.NoRoot())
}

// finish ends the job when the application has done what comes after the walk.
// Clients that come meanwhile take part in that.
func (j *job) finish() {
	if state, why := j.byApplication(); state == "failed" {
		j.stop(state, why)
		return
	}
	if j.ledger.Hooks.Finished {
		j.complete()
		return
	}
	j.recruit()
}

// step is what the application is to do on the server now.
func (j *job) step() string {
	h := &j.ledger.Hooks
	switch {
	case !j.spec.NeedsServer:
	case j.ledger.Phase == ledger.Waiting && !h.Started:
		return "start"
	case j.ledger.Phase != ledger.Finishing:
	case h.Phases < len(j.spec.Phases):
		return j.spec.Phases[h.Phases]
	default:
		return "messages"
	}
	return ""
}

// hooked takes in what a hook did. It may be told twice.
func (j *job) hooked(d hookDone) {
	l := j.ledger
	h := &l.Hooks
	switch {
	case d.failed != "":
		if l.Phase == ledger.Waiting || l.Phase == ledger.Running || l.Phase == ledger.Finishing {
			j.stop("failed", d.failed)
		}
		return
	case d.what == hookStart:
		h.Started = true
	case d.what == hookJoined:
		if h.Joined == nil {
			h.Joined = map[ledger.ClientID]bool{}
		}
		h.Joined[d.client] = true
	case d.what == hookPhase:
		h.Phases = max(h.Phases, d.phase+1)
		if l.Phase == ledger.Finishing && h.Phases < len(j.spec.Phases) {
			j.event("info", "%s is done, now %s", j.spec.Phases[d.phase], j.spec.Phases[h.Phases])
		}
	case d.what == hookSettle:
		h.Finished = true
	}
	l.Touch()
}

// showHooks shows the state to the goroutine of the hooks.
func (j *job) showHooks() {
	if !j.spec.NeedsServer {
		return
	}
	v := view{phase: j.ledger.Phase, hooks: j.ledger.Hooks, clients: map[ledger.ClientID]string{}, spec: j.now()}
	v.hooks.Joined = maps.Clone(v.hooks.Joined)
	for id, p := range j.peers {
		v.clients[p.client] = j.ledger.Members[id].Host
	}
	j.shown.Lock()
	j.shown.view = v
	j.shown.Unlock()
	select {
	case j.turned <- struct{}{}:
	default:
	}
}

func (j *job) view() view {
	j.shown.Lock()
	defer j.shown.Unlock()
	return j.shown.view
}

// coordinate runs the application's part of the job, if this server has it, whenever
// the job has not ended and no other server does.
func (j *job) coordinate(ctx context.Context) {
	app := j.s.app(j.app())
	if app == nil {
		return
	}
	c := claim{table: j.table, server: j.s.id}
	live := func(v *view) bool { return v.phase != ledger.Ended && v.phase != ledger.Stopping }
	for j.until(ctx, live) {
		if c.seize(ctx) {
			c.hold(ctx, func(ctx context.Context) { j.part(ctx, app) })
		}
		pause(ctx, claimLook)
	}
}

// until waits for what the job is to be. False: ctx is cancelled.
func (j *job) until(ctx context.Context, is func(*view) bool) bool {
	for ctx.Err() == nil {
		if v := j.view(); is(&v) {
			return true
		}
		select {
		case <-j.turned:
		case <-ctx.Done():
		}
	}
	return false
}

// part calls the hooks, each when it is due, until the job has ended.
func (j *job) part(ctx context.Context, app App) {
	part, err := app.Coordinate(j.view().spec, Desk{Table: j.table, Name: "s" + strings.ToLower(rand.Text()[:12]), Clients: func() map[ledger.ClientID]string {
		v := j.view()
		return v.clients
	}})
	if err != nil {
		j.report(ctx, hookDone{failed: err.Error()})
		return
	}
	defer part.Close()
	if err := j.call(ctx, part.Begin); errors.Is(err, errHookEnded) {
		return
	} else if err != nil {
		j.report(ctx, hookDone{failed: err.Error()})
		return
	}
	for {
		var d hookDone
		var f func(context.Context) error
		live := j.until(ctx, func(v *view) bool {
			d, f = j.due(v, part)
			return f != nil || v.phase == ledger.Ended
		})
		if !live || f == nil {
			return
		}
		err := j.call(ctx, f)
		if errors.Is(err, errHookEnded) {
			continue // the job is being ended, or ctx is cancelled
		}
		if err != nil {
			d = hookDone{failed: err.Error()}
		}
		j.report(ctx, d)
	}
}

// due is the hook that comes next, nil if none does now.
func (j *job) due(v *view, part Part) (hookDone, func(context.Context) error) {
	switch {
	case v.phase != ledger.Waiting && v.phase != ledger.Running && v.phase != ledger.Finishing:
		return hookDone{}, nil
	case !v.hooks.Started:
		return hookDone{what: hookStart}, part.Start
	}
	for _, id := range slices.Sorted(maps.Keys(v.clients)) {
		if !v.hooks.Joined[id] {
			host := v.clients[id]
			return hookDone{what: hookJoined, client: id}, func(ctx context.Context) error { return part.Joined(ctx, id, host) }
		}
	}
	switch n := v.hooks.Phases; {
	case v.phase != ledger.Finishing || v.hooks.Finished:
		return hookDone{}, nil
	case n < len(j.spec.Phases):
		return hookDone{what: hookPhase, phase: n}, func(ctx context.Context) error {
			if err := part.Settle(ctx); err != nil {
				return err
			}
			return part.Phase(ctx, n)
		}
	default:
		return hookDone{what: hookSettle}, part.Settle
	}
}

// report tells the job what a hook did, and returns when that is written.
func (j *job) report(ctx context.Context, d hookDone) {
	_, _ = j.askOf(ctx, &asked{Ask: &wire.Ask{Kind: askHook}, hook: d}) // without an answer ctx is cancelled
	// What it changed is seen from here on.
}

// errHookEnded is the error of a hook that was cancelled.
var errHookEnded = errors.New("cancelled")

// hookPatience is how long a hook that was cancelled may take to end.
const hookPatience = 10 * time.Second

// call calls a hook. It is cancelled when the job is being ended.
func (j *job) call(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				j.s.log.Error("the application panicked", "job", j.spec.Job, "panic", v, "stack", string(debug.Stack()))
				done <- fmt.Errorf("panic: %v", v)
			}
		}()
		done <- f(ctx)
	}()
	ended := func(err error) error {
		if err != nil && ctx.Err() != nil {
			return errHookEnded
		}
		return err
	}
	for {
		if p := j.view().phase; p == ledger.Stopping || p == ledger.Ended {
			cancel()
		}
		select {
		case err := <-done:
			return ended(err)
		case <-j.turned:
		case <-ctx.Done():
			select {
			case err := <-done:
				return ended(err)
			case <-time.After(hookPatience):
				j.s.log.Error("a part of the application was cancelled and does not end", "job", j.spec.Job)
				return errHookEnded
			}
		}
	}
}
