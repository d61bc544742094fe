package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/joblog"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// ask answers a command.
func (s *server) ask(ctx context.Context, m bus.Msg) {
	if m.Reply == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var a wire.Ask
	if err := wire.Decode(m.Data, &a); err != nil {
		_ = m.Reply(ledger.Encode(wire.Answer{Err: "the server does not understand this command: " + err.Error()}))
		return
	}
	var answer wire.Answer
	rank, who := wire.Asker(m.Subject)
	err := allowed(&a, rank)
	if err == nil {
		answer, err = s.answer(ctx, &a)
	}
	if wire.Needs(a.Kind) != wire.RankViewer || !rank.Has(wire.RankViewer) {
		s.noteAsk(&a, who, err)
	}
	if err != nil {
		_, answer.Denied = errors.AsType[*deniedError](err)
		answer.Err = err.Error()
	}
	if err := m.Reply(ledger.Encode(answer)); errors.Is(err, bus.ErrTooLarge) {
		_ = m.Reply(ledger.Encode(wire.Answer{Job: a.Job, Err: "the answer is too large for the engine"}))
	}
}

// noteAsk logs who wanted what.
func (s *server) noteAsk(a *wire.Ask, who string, err error) {
	job := a.Job
	if a.Spec != nil {
		job = a.Spec.Job
	}
	attrs := []slog.Attr{slog.String("what", joblog.Clean(a.Kind, mostLogName)), slog.String("by", who)}
	if job != "" {
		attrs = append(attrs, slog.String("about", joblog.Clean(job, mostLogName)))
	}
	if a.Client != "" {
		attrs = append(attrs, slog.String("client", joblog.Clean(string(a.Client), mostLogName)))
	}
	if a.Token != nil && a.Token.ID != "" {
		attrs = append(attrs, slog.String("token", joblog.Clean(a.Token.ID, mostLogName)))
	}
	if err != nil {
		attrs = append(attrs, slog.String("refused", joblog.Clean(err.Error(), mostLogText)))
	}
	s.log.LogAttrs(context.Background(), slog.LevelInfo, "a command asks", attrs...)
}

// deniedError is of somebody who may not do what he asks for.
type deniedError struct{ text string }

func (e *deniedError) Error() string { return e.text }

// allowed tells why somebody may not ask for something.
func allowed(a *wire.Ask, rank wire.Rank) error {
	if need := wire.Needs(a.Kind); !rank.Has(need) {
		return &deniedError{fmt.Sprintf("a credential of role %s does not allow this (%s): one of role %s does", rank, a.Kind, need)}
	}
	return nil
}

func (s *server) answer(ctx context.Context, a *wire.Ask) (wire.Answer, error) {
	if a.Kind == wire.AskSubmit {
		if a.Spec == nil {
			return wire.Answer{}, errors.New("nothing was submitted")
		}
		if id := (wire.AppID{Name: a.Spec.App, Version: a.Spec.Version}); a.Spec.NeedsServer && s.app(id) == nil {
			return wire.Answer{}, fmt.Errorf("the server does not have the application %s, a part of which runs there: start the server with a program that has it", id)
		}
		return wire.Answer{Job: a.Spec.Job}, s.submit(ctx, a.Spec)
	}
	switch a.Kind {
	case wire.AskList:
		return s.page(ctx, a.Job), nil
	case wire.AskClients:
		return s.clientPage(a.Client), nil
	case wire.AskTokenCreate, wire.AskTokenList, wire.AskTokenRevoke:
		if s.o.Tokens == nil {
			return wire.Answer{}, errors.New("this server has no tokens: on the loopback alone none are needed, and with --nats the engine decides who may join; start it with --listen ADDRESS:PORT for other hosts")
		}
		return s.o.Tokens(a)
	case wire.AskDrain:
		return wire.Answer{}, s.drain(a.Client)
	}
	j, err := s.find(ctx, a.Job)
	switch {
	case errors.Is(err, bus.ErrNoTable), errors.Is(err, bus.ErrNoKey), errors.Is(err, bus.ErrName):
		return wire.Answer{}, fmt.Errorf("there is no job %s", a.Job)
	case err != nil:
		return wire.Answer{}, fmt.Errorf("job %s can not be read: %w", a.Job, err)
	}
	switch a.Kind {
	case wire.AskStatus, wire.AskPause, wire.AskResume, wire.AskCancel, wire.AskWorkers, wire.AskSet, wire.AskPeers:
		got, err := j.ask(ctx, a)
		answer := wire.Answer{Job: a.Job, Status: []wire.Status{got.status}, Peers: got.peers, More: got.more, Control: got.control}
		if a.Kind == wire.AskStatus {
			answer.Warnings, answer.WarningsDropped = j.warnings.last(answerWarnings)
		}
		return answer, err
	case wire.AskRemove:
		return wire.Answer{Job: a.Job}, s.remove(ctx, j)
	}
	return wire.Answer{}, fmt.Errorf("the server does not know the command %q", a.Kind)
}

// Bounds of a part of the list of jobs.
const (
	pageBytes = 24 << 10
	pageJobs  = 64
	pageTime  = time.Second // for each job to say how it does; all at once
)

// page is a part of the list of jobs: those after one, in the order of their IDs.
func (s *server) page(ctx context.Context, after string) wire.Answer {
	s.mu.Lock()
	jobs := s.list()
	s.mu.Unlock()
	i := slices.IndexFunc(jobs, func(j *job) bool { return j.spec.Job > after })
	if i < 0 {
		return wire.Answer{}
	}
	jobs = jobs[i:]
	var answer wire.Answer
	if len(jobs) > pageJobs {
		jobs, answer.More = jobs[:pageJobs], true
	}
	all := make([]wire.Status, len(jobs))
	ctx, cancel := context.WithTimeout(ctx, pageTime)
	defer cancel()
	var wg sync.WaitGroup
	for i, j := range jobs {
		wg.Go(func() {
			got, err := j.ask(ctx, &wire.Ask{Kind: wire.AskList})
			if all[i] = got.status; err != nil {
				all[i] = wire.Status{Job: j.spec.Job, App: j.spec.App, Phase: j.phase(), Submitted: j.spec.Submitted, Waits: "the server is busy with it"}
			}
			all[i].Events = nil
			all[i].Roots = all[i].Roots[:min(len(all[i].Roots), 4)]
		})
	}
	wg.Wait()
	size := 0
	for i := range all {
		if size += len(ledger.Encode(all[i])); size > pageBytes && i > 0 {
			answer.More = true
			break
		}
		answer.Status = append(answer.Status, all[i])
	}
	return answer
}

// submit makes a job. It may be called again with the same.
func (s *server) submit(ctx context.Context, spec *wire.Spec) error {
	s.mu.Lock()
	known := s.jobs[spec.Job]
	s.mu.Unlock()
	if spec.Changes {
		spec.Own = s.o.Own
	}
	if known != nil {
		return same(spec, known.spec)
	}
	if len(spec.Roots) == 0 || spec.App == "" {
		return errors.New("a job needs an application and a path")
	}
	name := wire.Table(spec.Job)
	var table bus.Table
	err := certainly(ctx, func() (err error) { table, err = s.o.Bus.Create(ctx, name); return err })
	if errors.Is(err, bus.ErrExists) {
		table, err = s.o.Bus.Open(ctx, name)
	}
	if err != nil {
		return err
	}
	put := func(key string, v any) error {
		data := ledger.Encode(v)
		err := certainly(ctx, func() error { _, err := table.Put(ctx, key, data, 0); return err })
		if errors.Is(err, bus.ErrConflict) {
			return nil // it is there already
		}
		return err
	}
	spec.Submitted = time.Now()
	if err := put(wire.KeyState, ledger.NewState()); err != nil {
		return err
	}
	// The job exists from here on.
	if err := put(wire.KeySpec, spec); err != nil {
		return err
	}
	// Its life is the server's, not the request's.
	j, err := s.open(s.life, spec.Job, table)
	if err != nil {
		return err
	}
	return same(spec, j.spec)
}

// same tells whether what is submitted is a job that there is: a command that got no
// answer asks again. The name may be that of another one, which somebody chose.
func same(spec, known *wire.Spec) error {
	if spec.Key != known.Key {
		return fmt.Errorf("there is a job %s already: choose another name", spec.Job)
	}
	return nil
}

// certainly does something again for as long as nobody knows what became of it.
func certainly(ctx context.Context, do func() error) error {
	for {
		err := do()
		if !errors.Is(err, bus.ErrUnknown) || ctx.Err() != nil || errors.Is(err, bus.ErrClosed) {
			return err
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// remove forgets a job that has ended, and all that is known of it.
func (s *server) remove(ctx context.Context, j *job) error {
	if j.phase() != ledger.Ended {
		return fmt.Errorf("job %s has not ended: cancel it first", j.spec.Job)
	}
	if err := s.o.Bus.Drop(ctx, wire.Table(j.spec.Job)); err != nil && !errors.Is(err, bus.ErrNoTable) {
		return err
	}
	s.drop(j)
	j.cancel()
	return nil
}
