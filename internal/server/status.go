package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// ask hands a command to the job's goroutine, and returns what came of it.
func (j *job) ask(ctx context.Context, kind string) (wire.Status, error) {
	return j.askOf(ctx, &asked{kind: kind})
}

func (j *job) askOf(ctx context.Context, a *asked) (wire.Status, error) {
	a.until, a.answer = ctx.Done(), make(chan answered, 1)
	j.send(event{ask: a})
	select {
	case got := <-a.answer:
		return got.status, got.err
	case <-ctx.Done():
		return wire.Status{}, errors.New("the server is busy: try again")
	}
}

// command carries out what a command asks for.
func (j *job) command(a *asked) error {
	l := j.ledger
	switch a.kind {
	case askHook:
		j.hooked(a.hook)
	case wire.AskCancel:
		switch l.Phase {
		case ledger.Ended:
			if l.Verdict.State == "cancelled" {
				return nil // a command that got no answer asks again
			}
			return fmt.Errorf("job %s has ended already: %s", j.spec.Job, l.Verdict.State)
		case ledger.Waiting, ledger.Running, ledger.Finishing:
			j.stop("cancelled", "cancelled by a user")
		}
	case wire.AskResume:
		switch {
		case l.Phase == ledger.Waiting, l.Phase == ledger.Running, l.Phase == ledger.Finishing:
			return nil // a command that got no answer asks again
		case l.Phase != ledger.Ended:
			return fmt.Errorf("job %s is being ended: %s", j.spec.Job, l.Verdict.Reason)
		case j.allDone():
			return fmt.Errorf("job %s has nothing left to do: %s", j.spec.Job, l.Verdict.State)
		case j.lost:
			return fmt.Errorf("job %s can not be resumed: %s", j.spec.Job, l.Verdict.Reason)
		}
		// Sessions that began when it had ended already are not known to live, or not.
		for r := range l.All() {
			if r.End == ledger.Live && j.peers[r.Session] == nil {
				j.peers[r.Session] = &peer{client: r.Client}
			}
		}
		// What was wrong with clients and mounts may have been mended.
		clear(l.Refused)
		clear(j.seen)
		clear(j.asked)
		j.began = time.Time{}
		if l.Unbegun() {
			l.Sights = nil
		}
		l.Phase, l.Verdict, l.Finished = ledger.Waiting, ledger.Verdict{}, time.Time{}
		l.Resumed++
		for id, m := range l.Members {
			if !m.Ended { // it began when nobody knew of this
				m.Run = l.Resumed
				l.Members[id] = m
			}
		}
		l.Forgiven = 0
		for r := range l.All() {
			l.Forgiven += r.Totals.Errors
		}
		l.Touch()
		j.event("info", "job resumed")
	}
	return nil
}

// status says how the job does.
func (j *job) status() wire.Status {
	l := j.ledger
	st := wire.Status{
		Job: j.spec.Job, App: j.spec.App, Version: j.spec.Version, Roots: j.roots(),
		Priority: j.spec.Priority, Phase: l.Phase, Verdict: l.Verdict,
		Submitted: j.spec.Submitted, Started: l.Started, Finished: l.Finished,
		Waits: j.waits, Step: j.step(), Events: j.events,
	}
	clients := map[ledger.ClientID]bool{}
	for r := range l.All() {
		t := r.Totals
		if p := j.peers[r.Session]; p != nil && l.Phase != ledger.Ended {
			if clients[p.client] = true; p.Session != "" && p.Totals.FoundDirs >= t.FoundDirs {
				t = p.Totals
			}
			st.Workers += p.Workers
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
