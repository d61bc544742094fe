package hydra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/joblog"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// AutoWorkers, as a number of workers, lets it adapt to the file system.
const AutoWorkers = ledger.Adapt

// MostWorkers is how many a client can have for one job.
const MostWorkers = walk.MostWorkers

// Pause lets all workers of a job rest: each ends the call of its handler that it
// is in, and begins no other. What was counted stays counted, clients may join and
// leave meanwhile, and the server may be started again. Resume lets it go on.
func (s *Server) Pause(ctx context.Context, job string) error {
	_, err := s.command(ctx, wire.AskPause, job)
	return err
}

// SetWorkers sets how many workers a client may use for a job, or with client ""
// all: [AutoWorkers], a number, or 0 to leave it to the clients again, which share
// theirs among their jobs.
func (s *Server) SetWorkers(ctx context.Context, job, client string, workers int) error {
	_, err := s.ask(ctx, wire.Ask{Kind: wire.AskWorkers, Job: job, Client: ledger.ClientID(client), Workers: workers})
	return err
}

// Drain lets a client give back what it has of all jobs, and end. It returns when
// the client has been told; see [Server.Clients].
func (s *Server) Drain(ctx context.Context, client string) error {
	_, err := s.ask(ctx, wire.Ask{Kind: wire.AskDrain, Client: ledger.ClientID(client)})
	return err
}

// ClientStatus is a client that has joined a server.
type ClientStatus struct {
	ID      string
	Host    string
	PID     int
	Workers int // that it was started with; 0 adapts
	Apps    []string
	Jobs    []string  // that it works on
	Leaving bool      // it gives all back, and ends then
	Heard   time.Time // of it, last
}

// Clients are those that have joined the server, by ID.
func (s *Server) Clients(ctx context.Context) ([]ClientStatus, error) {
	var all []ClientStatus
	last := ledger.ClientID("")
	for {
		answer, err := s.ask(ctx, wire.Ask{Kind: wire.AskClients, Client: last})
		if err != nil {
			return nil, err
		}
		for _, c := range answer.Clients {
			client := ClientStatus{ID: string(c.Client), Host: c.Host, PID: c.PID, Workers: c.Workers, Jobs: c.Jobs, Leaving: c.Leaving, Heard: c.Heard}
			for _, app := range c.Apps {
				client.Apps = append(client.Apps, app.String())
			}
			all = append(all, client)
			last = c.Client
		}
		if !answer.More || len(answer.Clients) == 0 {
			return all, nil
		}
	}
}

// Peer is what a client does, or did, of a job.
type Peer struct {
	Client string
	Host   string
	PID    int
	// State is working, hungry (it will be out of work soon), idle, paused, leaving,
	// left, lost, or refused.
	State   string
	Why     string // it was refused
	Workers int
	Walked  walk.Totals // what it counted
	Since   time.Time   // when it wrote last what it counted
	Current bool        // it goes by the settings as they are now
}

// Peers are the clients that take, took, or were refused a part in a job, by ID.
func (s *Server) Peers(ctx context.Context, job string) ([]Peer, error) {
	var all []Peer
	last := ledger.ClientID("")
	for {
		answer, err := s.ask(ctx, wire.Ask{Kind: wire.AskPeers, Job: job, Client: last})
		if err != nil {
			return nil, err
		}
		for _, p := range answer.Peers {
			current := answer.Control != nil && p.Control == answer.Control.Rev
			all = append(all, Peer{
				Client: string(p.Client), Host: p.Host, PID: p.PID, State: string(p.State), Why: p.Why,
				Workers: p.Workers, Walked: p.Totals, Since: p.Since, Current: current,
			})
			last = p.Client
		}
		if !answer.More || len(answer.Peers) == 0 {
			return all, nil
		}
	}
}

// PeerWorkers tells how the workers of a client do that works on a job, of at most
// 128 of them. The client itself is asked.
func (s *Server) PeerWorkers(ctx context.Context, job, client string) ([]walk.WorkerState, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	data, err := s.bus.Request(ctx, wire.SubjectPeer(ledger.ClientID(client)), ledger.Encode(wire.PeerAsk{Job: job}))
	if errors.Is(err, bus.ErrNoResponder) {
		return nil, fmt.Errorf("there is no client %s", client)
	}
	if err != nil {
		return nil, fmt.Errorf("client %s: %w", client, err)
	}
	var answer wire.PeerAnswer
	if err := wire.Decode(data, &answer); err != nil {
		return nil, fmt.Errorf("client %s: %w", client, err)
	}
	if answer.Err != "" {
		return nil, fmt.Errorf("client %s: %s", client, answer.Err)
	}
	return answer.Workers, nil
}

// Setting is a setting by its name, and a value as it is typed.
type Setting struct{ Key, Value string }

// Set changes settings of a job while it runs. Every client and worker goes by
// them within a second, between two entries; the result tells when what was
// changed. Either all are set or none.
//
// Keys are the flags of the application, the fields of its settings in JSON, and
// those that every job has:
//
//	limit-ops       calls to the file system per second, of all clients; 0: no limit
//	target-latency  of these calls, that is aimed at, as 5ms; 0: any
//	priority        1 to 1000
//	max-errors      that end the job; 0: none do
//	log, log.NAME   debug, info, warn, error; "default": as the client was started
//
// The application's Prepare and Change check its own; without the application
// (nil) only the others can be set.
func (s *Server) Set(ctx context.Context, app Application, job string, settings ...Setting) error {
	if len(settings) == 0 {
		return &UsageError{errors.New("no setting was given")}
	}
	set := &wire.Set{Levels: map[string]string{}}
	var own []Setting
	for _, kv := range settings {
		known, err := general(set, kv)
		if err != nil {
			return &UsageError{err}
		}
		if !known {
			own = append(own, kv)
		}
		set.Said = append(set.Said, [2]string{kv.Key, kv.Value})
	}
	name := ""
	if app != nil {
		name = app.Info().Name
	}
	levels := maps.Clone(set.Levels)
	maps.DeleteFunc(levels, func(_, level string) bool { return level == "" })
	if _, err := joblog.ParseLevels(levels, name); err != nil && app != nil {
		return &UsageError{err}
	}
	if len(own) > 0 {
		if app == nil {
			return &UsageError{fmt.Errorf("%s is a setting of the job's application, which this program does not have", own[0].Key)}
		}
		err := s.change(ctx, app, job, set, func(d distributed, now []byte) ([]byte, error) { return d.change(now, own) })
		if err != nil {
			return err
		}
	}
	_, err := s.ask(ctx, wire.Ask{Kind: wire.AskSet, Job: job, Set: set})
	return err
}

// change puts other settings of the application into set.
func (s *Server) change(ctx context.Context, app Application, job string, set *wire.Set, f func(distributed, []byte) ([]byte, error)) error {
	d, err := isDistributed(app)
	if err != nil {
		return err
	}
	spec, state, err := s.read(ctx, job)
	if err != nil {
		return err
	}
	if err := isOf(d, spec); err != nil {
		return err
	}
	set.Base = state.Control.SettingsRev
	set.Settings, err = f(d, spec.With(&state.Control).Settings)
	return err
}

// read reads what a job is and how it stands.
func (s *Server) read(ctx context.Context, job string) (*wire.Spec, *ledger.State, error) {
	table, err := s.bus.Open(ctx, wire.Table(job))
	if errors.Is(err, bus.ErrNoTable) || errors.Is(err, bus.ErrName) {
		return nil, nil, fmt.Errorf("there is no job %s", job)
	}
	spec, state := new(wire.Spec), new(ledger.State)
	if err == nil {
		err = read(ctx, table, wire.KeySpec, spec)
	}
	if err == nil {
		err = read(ctx, table, wire.KeyState, state)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("job %s: %w", job, err)
	}
	return spec, state, nil
}

// JobSettings are what a job goes by at present.
type JobSettings struct {
	App           json.RawMessage   `json:"app"` // of the application
	LimitOps      float64           `json:"limit_ops,omitempty"`
	TargetLatency float64           `json:"target_latency_seconds,omitempty"`
	MaxErrors     int64             `json:"max_errors,omitempty"`
	Priority      int               `json:"priority"`
	Levels        map[string]string `json:"log,omitempty"`     // by logger, "" is all
	Workers       map[string]int    `json:"workers,omitempty"` // by client, "" is all; AutoWorkers adapts

	// Changes are the last 100 that users made while it ran.
	Changes []Change `json:"-"`
}

// Settings tells what a job goes by at present.
func (s *Server) Settings(ctx context.Context, job string) (*JobSettings, error) {
	spec, state, err := s.read(ctx, job)
	if err != nil {
		return nil, err
	}
	c := &state.Control
	now := spec.With(c)
	js := &JobSettings{
		App: now.Settings, LimitOps: now.LimitOps, TargetLatency: now.Latency.Seconds(), MaxErrors: now.MaxErrors,
		Priority: now.Priority, Levels: c.Levels,
	}
	for id, n := range c.Workers {
		if js.Workers == nil {
			js.Workers = map[string]int{}
		}
		js.Workers[string(id)] = n
	}
	for _, change := range c.Changes {
		js.Changes = append(js.Changes, Change(change))
	}
	return js, nil
}

// UpdateSettings changes settings of a job of app while it runs: see [Server.Set].
// what is told of it in the result is the text said.
func UpdateSettings[C, S any](ctx context.Context, s *Server, app *App[C, S], job, said string, change func(*C) error) error {
	set := &wire.Set{Said: [][2]string{{"settings", said}}}
	err := s.change(ctx, app, job, set, func(_ distributed, now []byte) ([]byte, error) { return app.changeBy(now, change) })
	if err != nil {
		return err
	}
	_, err = s.ask(ctx, wire.Ask{Kind: wire.AskSet, Job: job, Set: set})
	return err
}

// Snapshot is what was counted of a job until now, as far as it was written down:
// a few seconds may be missing. The state of the result of a job that has not
// ended is [Running].
func (s *Server) Snapshot(ctx context.Context, app Application, job string) (Document, error) {
	return s.snapshot(ctx, app, job, "")
}

// PeerStats is Snapshot of what one client counted.
func (s *Server) PeerStats(ctx context.Context, app Application, job, client string) (Document, error) {
	return s.snapshot(ctx, app, job, ledger.ClientID(client))
}

func (s *Server) snapshot(ctx context.Context, app Application, job string, client ledger.ClientID) (Document, error) {
	d, err := isDistributed(app)
	if err != nil {
		return nil, err
	}
	table, err := s.bus.Open(ctx, wire.Table(job))
	if errors.Is(err, bus.ErrNoTable) || errors.Is(err, bus.ErrName) {
		return nil, fmt.Errorf("there is no job %s", job)
	}
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", job, err)
	}
	// What a record names may be gone when it is read: there is a newer one then.
	for try := 0; ; try++ {
		doc, err := readPart(ctx, table, d, &Options{Logger: s.log}, "", client)
		if !errors.Is(err, bus.ErrNoKey) || try == 10 {
			return doc, err
		}
	}
}

// mostKeys is how many keys an error lists.
const mostKeys = 40

// keysOf lists what can be set, for an error.
func keysOf(of map[string]bool) string {
	keys := slices.Sorted(maps.Keys(of))
	if len(keys) > mostKeys {
		keys = append(keys[:mostKeys], "...")
	}
	return strings.Join(keys, ", ")
}
