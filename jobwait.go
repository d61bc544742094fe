package hydra

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// Wait returns the result of the job when it has ended. It goes on waiting while
// the server can not be reached. The error is that of [Run], or why there is no
// result. If ctx is cancelled the job goes on, and another Wait may follow, which goes on with the output
// where this one was. If the output can not be written, the error is an [OutputError].
func (j *Job) Wait(ctx context.Context) (Document, error) {
	if j.s.local.idle() {
		return j.s.local.result(ctx, j, notRun)
	}
	mail, err := j.listen(ctx)
	if err != nil {
		return nil, err
	}
	defer mail.stop()
	news := make(chan wire.Status, 64)
	sub, err := j.s.bus.Subscribe(wire.SubjectNews(j.id), func(m bus.Msg) {
		var st wire.Status
		if wire.Decode(m.Data, &st) != nil {
			return
		}
		select {
		case news <- st:
		default: // it is asked for soon
		}
	})
	if err != nil {
		return nil, err
	}
	defer sub.Stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopOutput := j.copyOutput(ctx, cancel)
	defer stopOutput()
	look := time.NewTicker(2 * time.Second)
	defer look.Stop()
	connected, changed := j.s.bus.Connected()
	answers := make(chan *wire.Answer, 1)
	asking := false
	ask := func() {
		if asking {
			return
		}
		asking = true
		go func() {
			askCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			answer, err := j.s.ask(askCtx, wire.Ask{Kind: wire.AskStatus, Job: j.id})
			if err != nil {
				answer = &wire.Answer{Err: err.Error()}
			}
			answers <- answer
		}()
	}
	ask()
	lost := 0
	for {
		var st *wire.Status
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-changed:
			var now bool
			if now, changed = j.s.bus.Connected(); now != connected {
				connected = now
				if now {
					j.tell(JobEvent{At: time.Now(), Kind: "connection", Text: "the server is back"})
				} else {
					j.tell(JobEvent{At: time.Now(), Kind: "connection", Text: "the server is out of reach: waiting for it"})
				}
			}
			ask()
		case <-look.C:
			ask()
		case got := <-news:
			st, lost = &got, 0
		case answer := <-answers:
			asking = false
			switch {
			case answer.Err == "" && len(answer.Status) > 0:
				st, lost = &answer.Status[0], 0
			case strings.HasPrefix(answer.Err, "there is no job"):
				// A server that has just started may not know it yet.
				if lost++; lost > 3 {
					return nil, fmt.Errorf("job %s failed: the server does not know it any more: it was removed, or what the server keeps was lost", j.id)
				}
			}
		}
		if st == nil {
			continue
		}
		j.follow(st)
		if st.Phase == ledger.Ended {
			mail.drain(ctx)
			stopOutput()
			doc, err := j.result(ctx, st)
			if doc == nil && ctx.Err() != nil {
				err = context.Cause(ctx) // as of output that could not be written just now
			}
			return doc, err
		}
	}
}

// copyOutput copies the output as it comes, until the function that it returns is called.
// broken is told if it can not be written.
func (j *Job) copyOutput(ctx context.Context, broken func(error)) (stop func()) {
	if j.out == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { j.out.follow(ctx, j.s.bus, j.id, broken) })
	return func() {
		cancel()
		wg.Wait()
	}
}

// follow shows how the job does.
func (j *Job) follow(st *wire.Status) {
	for _, e := range st.Events {
		if e.At.After(j.seenAt) {
			j.seenAt = e.At
			j.tell(JobEvent{e.At, string(e.Kind), e.Text, string(e.Phase), string(e.Was), string(e.Client)})
		}
	}
	if j.o.Monitor != nil {
		p := progressOf(&st.Totals, st)
		if j.s.local != nil {
			p.Clients, p.Waits = 0, "" // it is this process
		}
		j.o.Monitor.remote.Store(&p)
	}
}

func (j *Job) tell(e JobEvent) {
	if j.o.Events != nil {
		j.o.Events(e)
	}
}

// result reads the result of the job, which has ended.
func (j *Job) result(ctx context.Context, st *wire.Status) (Document, error) {
	table, err := j.s.bus.Open(ctx, wire.Table(j.id))
	if errors.Is(err, bus.ErrNoTable) && st.Verdict.State == string(Failed) {
		return nil, fmt.Errorf("job %s failed: %s", j.id, st.Verdict.Reason)
	}
	if err != nil {
		return nil, fmt.Errorf("the result of job %s: %w", j.id, err)
	}
	if err := j.out.finish(ctx, table); err != nil {
		return nil, fmt.Errorf("the output of job %s: %w", j.id, err)
	}
	doc, err := readResult(ctx, table, j.app, &j.o.Options, "")
	if doc == nil && err != nil {
		return nil, fmt.Errorf("the result of job %s: %w", j.id, err)
	}
	return doc, err
}

// readResult makes the result of what is in a job's table. If the job has not ended,
// and nobody works on it, it was interrupted: why says by what.
func readResult(ctx context.Context, table bus.Table, app distributed, o *Options, why string) (Document, error) {
	return readPart(ctx, table, app, o, why, "")
}

// readPart is readResult of what one client counted, or with "" all did; with no why
// the job may be worked on.
func readPart(ctx context.Context, table bus.Table, app distributed, o *Options, why string, client ledger.ClientID) (Document, error) {
	spec, state := new(wire.Spec), new(ledger.State)
	for key, into := range map[string]any{wire.KeySpec: spec, wire.KeyState: state} {
		if err := read(ctx, table, key, into); err != nil {
			return nil, err
		}
	}
	if err := isOf(app, spec); err != nil {
		return nil, err
	}
	values, err := table.List(ctx, wire.PrefixRec)
	if err != nil {
		return nil, err
	}
	var records []*ledger.Record
	for _, v := range values {
		r := new(ledger.Record)
		if err := wire.Read(&v, r); err != nil {
			return nil, fmt.Errorf("%s: %w", v.Key, err)
		}
		if client == "" || r.Client == client {
			records = append(records, r)
		}
	}
	part := client != "" || state.Phase != ledger.Ended && why == ""
	if state.Phase != ledger.Ended && why != "" {
		state.Verdict = ledger.Verdict{State: string(Interrupted), Reason: why}
		for _, r := range records {
			if r.At.After(state.Finished) {
				state.Finished = r.At
			}
		}
	}
	if o.Errors != nil {
		slices.SortFunc(records, func(a, b *ledger.Record) int { return strings.Compare(string(a.Session), string(b.Session)) })
		for _, r := range records {
			for _, part := range r.Errors {
				v, err := table.Get(ctx, wire.KeyErrors(r.Session, part))
				if err != nil {
					return nil, err
				}
				if _, err := o.Errors.Write(v.Data); err != nil {
					return nil, fmt.Errorf("the list of errors is not whole: %w", err)
				}
			}
		}
	}
	more, err := attached(ctx, table)
	if err != nil {
		return nil, err
	}
	l := ledger.NewJob(state, records)
	return app.document(ctx, spec, l, more, o, part, func(r *ledger.Record) ([][]byte, error) { return sumsOf(ctx, table, r) })
}
