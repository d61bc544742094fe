package server

import (
	"context"
	"errors"

	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// ask hands a command to the job's goroutine, and returns what came of it.
func (j *job) ask(ctx context.Context, command *wire.Ask) (answered, error) {
	return j.askOf(ctx, &asked{Ask: command})
}

func (j *job) askOf(ctx context.Context, a *asked) (answered, error) {
	a.until, a.answer = ctx.Done(), make(chan answered, 1)
	j.send(event{ask: a})
	select {
	case got := <-a.answer:
		return got, got.err
	case <-ctx.Done():
		return answered{}, errors.New("the server is busy: try again")
	}
}

// status says how the job does.
func (j *job) status() wire.Status {
	l := j.ledger
	st := wire.Status{
		Job: j.spec.Job, App: j.spec.App, Version: j.spec.Version, Roots: j.roots(),
		Priority: j.now().Priority, Phase: l.Shown(), Verdict: l.Verdict,
		Submitted: j.spec.Submitted, Started: l.Started, Finished: l.Finished,
		Waits: j.waits, Events: j.events, Control: l.Control.Rev,
		Target: j.now().Latency, Step: j.step(),
	}
	if l.Phase == ledger.Running {
		st.Limit, st.Latency, st.OpsNow = j.pacing.limit, j.pacing.latency, j.pacing.ops
	}
	clients := map[ledger.ClientID]bool{}
	for r := range l.All() {
		t := r.Totals
		if p := j.peers[r.Session]; p != nil && l.Phase != ledger.Ended {
			if clients[p.client] = true; p.Session != "" && p.Totals.FoundDirs >= t.FoundDirs {
				t = p.Totals
			}
			st.Workers += p.Workers
			if p.Control == l.Control.Rev {
				st.Known++
			}
		}
		st.Totals.Add(&t)
	}
	st.Clients = len(clients)
	st.Totals.QueuedDirs = max(0, st.Totals.FoundDirs-st.Totals.ExpectedDirs())
	return st
}

// Bounds of what is told of a job: messages are small.
const (
	mostText  = 400 // bytes of an event
	mostRoots = 8 << 10
)

// roots are those of the job that are told, which are few bytes.
func (j *job) roots() [][]byte {
	size := 0
	for i, r := range j.spec.Roots {
		if size += len(r) + 8; size > mostRoots {
			return j.spec.Roots[:i]
		}
	}
	return j.spec.Roots
}
