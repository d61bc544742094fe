package hydra

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/server"
	"github.com/hydrawalk/hydra/internal/wire"
)

// CancelledError is the error of a job that a user ended.
type CancelledError struct{ Job string }

func (e *CancelledError) Error() string { return "job " + e.Job + " was cancelled" }

// JobOptions say how trees are walked by the clients of a server. Of Options,
// Workers, Records and FS are the clients' own business and are not used.
type JobOptions struct {
	Options
	// ID names the job; no other job may have it. "" makes one up.
	ID string
	// Priority decides how clients share their workers among jobs: in proportion
	// to it. 0 is 10.
	Priority int
	// MinClients is the number of clients that have to be there before the job
	// begins.
	MinClients int
	local      bool // one process has all: see wire.Spec

	// Events, when set, is told what happens to the job, a line each.
	Events func(JobEvent)
}

// JobEvent is something that happened to a job.
type JobEvent struct {
	At   time.Time
	Kind string // state, client, setting, note, or connection: that of this program
	Text string // for people

	Phase, Was string // of state: the new phase, and the one before
	Client     string // that it is about, "" if none
}

// Limits and defaults of jobs.
const (
	defaultPriority = 10
	maxPriority     = 1000
	defaultStall    = time.Minute
)

// Server is a connection to a server, from which jobs are submitted and watched.
// Any goroutine may use it.
type Server struct {
	bus     bus.Bus
	rank    wire.Rank // what may be asked for
	name    string    // under which it is asked
	address string
	log     *slog.Logger
	local   *local // a job of this machine, nil for a server
}

// Address is where the server is: HOST:PORT.
func (s *Server) Address() string { return s.address }

// Close ends the connection. Jobs go on.
func (s *Server) Close() error {
	if s.local != nil {
		return s.local.close()
	}
	return s.bus.Close()
}

// Job is a job of a server.
type Job struct {
	s   *Server
	id  string
	app distributed
	o   *JobOptions
	u   userParts
	out *outputReader // nil: nobody wants the output

	seenAt time.Time
}

func newJob(s *Server, id string, app distributed, o *JobOptions) *Job {
	return &Job{s: s, id: id, app: app, o: o, out: newOutputReader(app, o)}
}

// JobStatus says how a job does.
type JobStatus struct {
	Job       string
	App       string
	Paths     []string
	Priority  int
	Phase     string // waiting, running, paused, finishing, stopping, ended; of a local job that no process runs, interrupted
	State     State  // when it has ended, or was interrupted
	Reason    string
	Step      string // what of the application runs on the server now: start, or the name of a phase
	Waits     string // what it waits for
	Submitted time.Time
	Started   time.Time
	Finished  time.Time
	Clients   int
	Progress  Progress

	// Changed counts the changes that users made while it ran, and Current the clients
	// that go by the last one.
	Changed uint64
	Current int
	// Warnings are the last ones that clients logged, the oldest first; only
	// where one job is asked for. WarningsDropped counts those that were too
	// many to be sent or kept, or got lost on their way.
	Warnings        []Warning
	WarningsDropped uint64
}

// Warning is a line of a client's log that somebody should look at.
type Warning struct {
	At     time.Time
	Host   string
	Client string
	Logger string // the part of the program, or the application's name
	Text   string // on one line
}

// distributed is what a server needs of an application beside what is public.
type distributed interface {
	Application
	spec(roots []string, o *JobOptions) (*wire.Spec, error)
	client(records string) client.App
	clientUnder(rules *hostRules, records string) client.App
	server(log *slog.Logger) server.App
	change(now []byte, set []Setting) ([]byte, error)
	output(spec *wire.Spec, w io.Writer) (io.WriteCloser, error)
	document(ctx context.Context, spec *wire.Spec, l *ledger.Job, more map[string]json.RawMessage, o *Options, part bool, sums func(*ledger.Record) ([][]byte, error)) (Document, error)
}

func (a *App[C, S]) client(records string) client.App {
	return a.clientUnder(nil, records)
}

func (a *App[C, S]) clientUnder(rules *hostRules, records string) client.App {
	return clientApp[C, S]{a, rules, records, new(knownMounts)}
}

func (a *App[C, S]) server(log *slog.Logger) server.App { return serverApp[C, S]{a, log} }

func (a *App[C, S]) document(ctx context.Context, spec *wire.Spec, l *ledger.Job, more map[string]json.RawMessage, o *Options, part bool, sums func(*ledger.Record) ([][]byte, error)) (Document, error) {
	result, err := a.collect(ctx, spec, l, more, o, part, sums)
	if result == nil {
		return nil, err
	}
	return result, err
}

// output wraps where the output of a job goes.
func (a *App[C, S]) output(spec *wire.Spec, w io.Writer) (io.WriteCloser, error) {
	settings := a.Settings // with what only this command knows
	if err := json.Unmarshal(spec.Settings, &settings); err != nil {
		return nil, err
	}
	return a.wrapOutput(settings, w)
}

// spec makes a job of an application with its settings as they are.
func (a *App[C, S]) spec(roots []string, o *JobOptions) (*wire.Spec, error) {
	settings := a.Settings
	if a.Prepare != nil {
		if err := a.Prepare(&settings); err != nil {
			return nil, &UsageError{err}
		}
	}
	if _, err := compileRules(o.Rules); err != nil {
		return nil, err
	}
	if len(roots) == 0 {
		return nil, &UsageError{errors.New("no path to walk")}
	}
	if err := a.check(settings); err != nil {
		return nil, err
	}
	roots, err := absolute(roots)
	if err != nil {
		return nil, err
	}
	if o.Prefixes, err = checkPrefixes(o.Prefixes, roots); err != nil {
		return nil, err
	}
	now := time.Now()
	id := now.UTC().Format("20060102T150405") + "-" + strings.ToLower(rand.Text()[:6])
	if o.ID != "" {
		if id = o.ID; CheckJobName(id) != nil {
			return nil, CheckJobName(id)
		}
	}
	spec := &wire.Spec{
		Job:       id,
		App:       a.Name,
		Version:   a.Version,
		Priority:  o.Priority,
		Clients:   max(o.MinClients, 0),
		Stall:     max(o.Stall, 0),
		MaxErrors: max(o.MaxErrors, 0),
		LimitOps:  max(o.LimitOps, 0),
		Latency:   max(o.TargetLatency, 0),
		AllErrors: o.Errors != nil,
		Local:     o.local,
		Changes:   a.Changes,
		Tail:      a.Tail != nil,
		Budget:    max(o.MaxActs, 0),
		Submitted: now,
	}
	for _, t := range a.Topics {
		spec.Topics = append(spec.Topics, t.Name)
	}
	spec.NeedsServer, spec.Phases = a.needsServer(), a.phaseNames()
	if spec.Priority == 0 {
		spec.Priority = defaultPriority
	}
	if spec.Stall == 0 {
		spec.Stall = defaultStall
	}
	if spec.Priority < 0 || spec.Priority > maxPriority {
		return nil, &UsageError{fmt.Errorf("a priority is a number from 1 to %d", maxPriority)}
	}
	for _, r := range roots {
		spec.Roots = append(spec.Roots, []byte(r))
	}
	if spec.Settings, err = json.Marshal(settings); err != nil {
		return nil, fmt.Errorf("the settings of %s are not for JSON: %w", a.Name, err)
	}
	if spec.Options, err = encodeOptions(&o.Options); err != nil {
		return nil, err
	}
	var key [8]byte
	rand.Read(key[:])
	spec.Key = binary.LittleEndian.Uint64(key[:])
	return spec, nil
}

// Submit makes a job of an application, with its settings as they are, for the
// clients that have an application of the same name and version. It returns when
// the server has the job; see [Job.Wait].
func (s *Server) Submit(ctx context.Context, app Application, roots []string, o *JobOptions) (*Job, error) {
	d, err := isDistributed(app)
	if err != nil {
		return nil, err
	}
	if o == nil {
		o = &JobOptions{}
	}
	spec, err := d.spec(roots, o)
	if err != nil {
		return nil, err
	}
	if _, err := s.ask(ctx, wire.Ask{Kind: wire.AskSubmit, Spec: spec}); err != nil {
		return nil, fmt.Errorf("submit: %w", err)
	}
	return newJob(s, spec.Job, d, o), nil
}

func isDistributed(app Application) (distributed, error) {
	d, ok := app.(distributed)
	if !ok {
		return nil, fmt.Errorf("%T is no *hydra.App", app)
	}
	return d, nil
}

// Job finds a job that was submitted before, of an application.
func (s *Server) Job(ctx context.Context, app Application, id string, o *JobOptions) (*Job, error) {
	d, err := isDistributed(app)
	if err != nil {
		return nil, err
	}
	if o == nil {
		o = &JobOptions{}
	}
	j := newJob(s, id, d, o)
	if _, err := j.Status(ctx); err != nil {
		return nil, err
	}
	// Better now than when it has ended.
	table, err := s.bus.Open(ctx, wire.Table(id))
	if errors.Is(err, bus.ErrNoTable) {
		return j, nil // it failed: Wait tells
	}
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", id, err)
	}
	spec := new(wire.Spec)
	if err := read(ctx, table, wire.KeySpec, spec); err != nil {
		return nil, fmt.Errorf("job %s: %w", id, err)
	}
	if err := isOf(d, spec); err != nil {
		return nil, err
	}
	if o.Errors != nil && !spec.AllErrors {
		return nil, &UsageError{fmt.Errorf("job %s keeps no list of all errors: that has to be asked for when it is submitted", id)}
	}
	return j, nil
}

func read(ctx context.Context, table bus.Table, key string, into any) error {
	v, err := table.Get(ctx, key)
	if err != nil {
		return err
	}
	return wire.Read(&v, into)
}

// isOf tells whether a job is one of an application.
func isOf(app distributed, spec *wire.Spec) error {
	if want := (wire.AppID{Name: spec.App, Version: spec.Version}); app.client("").ID() != want {
		return fmt.Errorf("job %s is one of %s, not of %s", spec.Job, want, app.client("").ID())
	}
	return nil
}

// Jobs tells of all jobs of the server, in the order in which they were
// submitted.
func (s *Server) Jobs(ctx context.Context) ([]JobStatus, error) {
	var all []JobStatus
	last := ""
	for {
		answer, err := s.ask(ctx, wire.Ask{Kind: wire.AskList, Job: last})
		if err != nil {
			return nil, err
		}
		for i := range answer.Status {
			all = append(all, s.status(&answer.Status[i]))
			last = answer.Status[i].Job
		}
		if !answer.More || len(answer.Status) == 0 {
			slices.SortStableFunc(all, func(a, b JobStatus) int { return a.Submitted.Compare(b.Submitted) })
			return all, nil
		}
	}
}

// Status tells how a job does.
func (s *Server) Status(ctx context.Context, job string) (JobStatus, error) {
	return s.command(ctx, wire.AskStatus, job)
}

// Cancel ends a job before its end: what was counted is its result. It can be
// resumed.
func (s *Server) Cancel(ctx context.Context, job string) error {
	_, err := s.command(ctx, wire.AskCancel, job)
	return err
}

// Resume lets a job go on that is paused, or that ended before its end.
func (s *Server) Resume(ctx context.Context, job string) error {
	_, err := s.command(ctx, wire.AskResume, job)
	return err
}

// Remove forgets a job that has ended, and its result.
func (s *Server) Remove(ctx context.Context, job string) error {
	_, err := s.ask(ctx, wire.Ask{Kind: wire.AskRemove, Job: job})
	return err
}

func (s *Server) command(ctx context.Context, kind, job string) (JobStatus, error) {
	answer, err := s.ask(ctx, wire.Ask{Kind: kind, Job: job})
	if err != nil {
		return JobStatus{}, err
	}
	if len(answer.Status) == 0 {
		return JobStatus{}, fmt.Errorf("the server said nothing of job %s", job)
	}
	st := s.status(&answer.Status[0])
	st.WarningsDropped = answer.WarningsDropped
	for _, w := range answer.Warnings {
		st.Warnings = append(st.Warnings, Warning{At: w.At, Host: w.Host, Client: string(w.Client), Logger: w.Logger, Text: w.Text})
	}
	return st, nil
}

// ask has a command carried out by the server.
func (s *Server) ask(ctx context.Context, a wire.Ask) (*wire.Answer, error) {
	answer, err := s.exchange(ctx, a)
	if err == nil && answer.Denied {
		return nil, fmt.Errorf("%w: %s", ErrUnauthorized, answer.Err)
	}
	if err == nil && answer.Err != "" {
		return nil, errors.New(answer.Err)
	}
	return answer, err
}

// quietTime is how long a server may take to answer before that is worth a line.
const quietTime = 3 * time.Second

// exchange sends a command to the server until there is an answer.
func (s *Server) exchange(ctx context.Context, a wire.Ask) (*wire.Answer, error) {
	data := ledger.Encode(a)
	began, said := time.Now(), false
	for {
		if !said && s.log != nil && time.Since(began) > quietTime {
			said = true
			s.log.Warn("the server does not answer yet", "address", s.address)
		}
		askCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
		reply, err := s.bus.Request(askCtx, wire.SubjectAsk(s.rank, s.name), data)
		cancel()
		if err == nil {
			answer := new(wire.Answer)
			if err := wire.Decode(reply, answer); err != nil {
				return nil, fmt.Errorf("the answer of the server: %w", err)
			}
			return answer, nil
		}
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case s.gone():
			return nil, errAway
		case errors.Is(err, bus.ErrClosed), errors.Is(err, bus.ErrTooLarge), errors.Is(err, bus.ErrName), errors.Is(err, bus.ErrAuth):
			return nil, err
		case errors.Is(err, bus.ErrNoResponder):
			// The engine is there and the server is not: it may be starting.
			select {
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
}

// gone tells whether the server was a process that ran a local job, and is no more.
func (s *Server) gone() bool {
	connected, _ := s.bus.Connected()
	return s.local.away(connected)
}

func (s *Server) status(st *wire.Status) JobStatus {
	var paths []string
	for _, r := range st.Roots {
		paths = append(paths, withoutSlash(string(r)))
	}
	status := JobStatus{
		Job: st.Job, App: st.App, Paths: paths, Priority: st.Priority,
		Phase: string(st.Phase), State: State(st.Verdict.State), Reason: st.Verdict.Reason, Step: st.Step, Waits: st.Waits,
		Submitted: st.Submitted, Started: st.Started, Finished: st.Finished,
		Clients: st.Clients, Progress: progressOf(&st.Totals, st), Changed: st.Control, Current: st.Known,
	}
	if s.local != nil {
		s.local.correct(&status)
	}
	return status
}

// ID names the job.
func (j *Job) ID() string { return j.id }

// Status tells how the job does.
func (j *Job) Status(ctx context.Context) (JobStatus, error) { return j.s.Status(ctx, j.id) }

// Cancel ends the job before its end.
func (j *Job) Cancel(ctx context.Context) error { return j.s.Cancel(ctx, j.id) }
