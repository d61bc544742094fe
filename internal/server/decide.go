package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

const (
	sightTime = 2 * time.Second        // for all clients that are there to look at the roots
	emptyTime = 5 * time.Second        // for a client to come that sees more than nothing
	askEvery  = time.Second            // until a client is asked again to look, or to open
	giveEvery = 20 * time.Millisecond  // between two splits of one session
	giveWait  = 500 * time.Millisecond // until a session that gave nothing is asked again
	giveMost  = 16                     // bags of one split
	pulseTime = 3 * time.Second        // until a session that its client does not tell of is taken for lost
)

// decide does what follows from what is known.
func (j *job) decide(ctx context.Context) {
	l := j.ledger
	j.bury(ctx)
	switch l.Phase {
	case ledger.Waiting:
		j.gather()
	case ledger.Running:
		j.judge()
		if l.Phase == ledger.Running {
			j.recruit()
			j.pace()
			j.grant()
			if !l.Control.Paused {
				j.deal()
			}
		}
	case ledger.Finishing:
		j.finish()
	}
	if l.Phase == ledger.Stopping {
		j.grant() // what is in hand is finished
	}
	if l.Phase == ledger.Stopping && l.AllEnded() {
		state, _ := j.byApplication()
		if j.allDone() && l.Verdict.State != "failed" && state == "" {
			j.complete() // it was too late to end anything
		} else {
			j.end(l.Verdict)
		}
	}
}

// bury fences the sessions of clients that are not there any more.
func (j *job) bury(ctx context.Context) {
	if connected, _ := j.s.o.Bus.Connected(); !connected {
		return
	}
	if time.Since(j.buried) < buryEvery {
		return // it did not work a moment ago
	}
	// First who is lost: a write may take long, and beats are not heard meanwhile.
	alive := j.s.alive()
	var lost []ledger.SessionID
	for id, p := range j.peers {
		_, lives := alive[p.client]
		// The client of a local job lives as long as its server: one that is not there
		// belonged to a process that is gone, and nobody else could take its work.
		gone := j.spec.Local || j.s.settled()
		if lives && j.s.silent(p.heard) >= pulseTime || !lives && gone {
			lost = append(lost, id)
		}
	}
	for id := range j.barred {
		if j.peers[id] == nil {
			delete(j.barred, id)
		} else if !slices.Contains(lost, id) {
			lost = append(lost, id) // it can do nothing more
		}
	}
	slices.Sort(lost)
	for _, id := range lost {
		late, err := j.bar(ctx, id)
		if err == nil && late {
			err = j.fence(ctx, id)
		}
		if err != nil {
			j.buried = time.Now()
			j.log.Warn("a lost session can not be fenced yet", "session", id, "err", err)
			return
		}
	}
}

// buryEvery is how long the server waits after a session could not be fenced.
const buryEvery = time.Second

// fence takes all that a lost session held from it.
func (j *job) fence(ctx context.Context, id ledger.SessionID) error {
	p := j.peers[id]
	f := j.ledger.Record(id).Fence()
	if j.spec.Local {
		// Who ended the process is known well enough: no directory is suspected.
		f = ledger.Abandon(j.ledger.Record(id), nil)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := j.table.Put(ctx, wire.KeyRecord(id), ledger.Encode(&f), p.rev)
	if errors.Is(err, bus.ErrConflict) {
		// It wrote something, or another server was faster.
		v, err := j.table.Get(ctx, wire.KeyRecord(id))
		if err == nil {
			j.record(&v)
		}
		return err
	}
	if err != nil {
		return err
	}
	host := j.ledger.Members[id].Host
	j.ledger.Apply(&f)
	delete(j.peers, id)
	j.records = true
	if j.spec.Local {
		j.event("info", "going on from what was written down of session %s", id)
		return nil
	}
	j.aboutClient("warn", p.client, "client %s on %s lost: its work is done by others", p.client, host)
	return nil
}

// app is the application that clients need to have.
func (j *job) app() wire.AppID { return wire.AppID{Name: j.spec.App, Version: j.spec.Version} }

// fit are the clients that have the application and were not refused, by name.
func (j *job) fit(alive map[ledger.ClientID]wire.Hello) []ledger.ClientID {
	var fit []ledger.ClientID
	for id, h := range alive {
		if slices.Contains(h.Apps, j.app()) && j.ledger.Refused[id] == "" && !j.s.leaves(id) {
			fit = append(fit, id)
		}
	}
	slices.Sort(fit)
	return fit
}

// others tells what versions of the application clients have.
func (j *job) others(alive map[ledger.ClientID]wire.Hello) string {
	var versions []string
	for _, h := range alive {
		for _, app := range h.Apps {
			if app.Name == j.spec.App && !slices.Contains(versions, app.String()) {
				versions = append(versions, app.String())
			}
		}
	}
	if versions == nil {
		return ""
	}
	slices.Sort(versions)
	return ", only " + strings.Join(versions, " and ")
}

// wait says what the job waits for.
func (j *job) wait(why string) {
	if j.waits != why {
		j.waits = why
		j.changed = true
		if why != "" {
			j.event("info", "waiting: %s", why)
		}
	}
}

// gather waits for clients, and finds out what the roots are.
func (j *job) gather() {
	if !j.begun() {
		return
	}
	alive := j.s.alive()
	fit := j.fit(alive)
	if len(fit) == 0 {
		j.began = time.Time{}
		switch {
		case len(alive) == 0:
			j.wait("no client has joined yet")
		case j.refusals(alive) != "":
			j.wait("no client that is there takes part" + j.because(alive))
		default:
			j.wait(fmt.Sprintf("none of the %d clients has the application %s%s", len(alive), j.app(), j.others(alive)))
		}
		return
	}
	if len(fit) < j.spec.Clients {
		j.wait(fmt.Sprintf("%d of %d clients", len(fit), j.spec.Clients) + j.because(alive))
		return
	}
	if j.began.IsZero() {
		j.began = time.Now()
	}
	missing := 0
	for _, id := range fit {
		if j.seen[id] == nil {
			missing++
			j.look(id)
		}
	}
	if missing > 0 && (time.Since(j.began) < sightTime || missing == len(fit)) {
		if time.Since(j.began) >= sightTime/4 {
			j.wait("the clients look at the paths")
		}
		return
	}
	var seen []*wire.Seen
	for _, id := range fit {
		if s := j.seen[id]; s != nil && s.Err == "" && len(s.Sights) == len(j.spec.Roots) {
			seen = append(seen, s)
		} else if s != nil {
			j.refuse(id, cmp.Or(s.Err, "it does not see all paths"))
		}
	}
	if len(seen) == 0 {
		return
	}
	if j.ledger.Sights == nil {
		sights := best(seen)
		if i := slices.IndexFunc(sights, func(s walk.Sight) bool { return s.Err != "" || s.Dir && s.Empty }); i >= 0 {
			// It may be a mount that is missing, and others may have it.
			what := fmt.Sprintf("%s: %s", j.spec.Roots[i], cmp.Or(sights[i].Err, "empty to all clients that are there"))
			if time.Since(j.began) < emptyTime && !j.spec.Local {
				j.wait(what + ": others may see more")
				return
			}
			if !j.spec.Local { // its result says so
				j.event("warn", "%s", what)
			}
		}
		j.ledger.Sights = sights
	}
	j.enter(ledger.Running)
	if j.ledger.Started.IsZero() {
		j.ledger.Started = time.Now()
	}
	j.wait("")
	fits := 0
	for _, s := range seen {
		if j.differs(s) == "" {
			fits++
		}
	}
	if l := j.ledger; l.Phase != ledger.Running {
		return // it ended before it began: see differs
	}
	j.event("info", "job started with %s", number(fits, "client"))
	j.recruit()
}

// best is what most of the clients see that see most.
func best(seen []*wire.Seen) []walk.Sight {
	score := func(s *wire.Seen) (n int) {
		for i, a := range s.Sights {
			if a.Err == "" {
				n += 1 << 20
				if !a.Dir || !a.Empty {
					n += 1 << 10
				}
			}
			for _, o := range seen {
				if o.Sights[i] == a {
					n++
				}
			}
		}
		return n
	}
	return slices.MaxFunc(seen, func(a, b *wire.Seen) int { return cmp.Compare(score(a), score(b)) }).Sights
}

// look asks a client what it sees at the roots.
func (j *job) look(id ledger.ClientID) {
	if time.Since(j.asked[id]) >= askEvery {
		j.asked[id] = time.Now()
		j.s.order(id, wire.Order{Job: j.spec.Job, Look: true})
	}
}

// refuse leaves a client out of this job.
func (j *job) refuse(id ledger.ClientID, why string) {
	if j.ledger.Refused[id] != "" {
		return
	}
	h := j.s.alive()[id]
	j.ledger.Refused[id] = fmt.Sprintf("%s (%s): %s", id, h.Host, why)
	j.ledger.Touch()
	j.aboutClient("warn", id, "client %s on %s takes no part: %s", id, h.Host, why)
	j.s.order(id, wire.Order{Job: j.spec.Job, Refused: why})
}

// refusals tells why the clients that are there take no part: if they do not all say the
// same, how many say so.
func (j *job) refusals(alive map[ledger.ClientID]wire.Hello) string {
	counts, all := map[string]int{}, 0
	for id, text := range j.ledger.Refused {
		if _, lives := alive[id]; lives {
			_, why := refusal(text)
			counts[why]++
			all++
		}
	}
	var whys []string
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		if len(counts) > 1 {
			why = fmt.Sprintf("%d of %d: %s", counts[why], all, why)
		}
		whys = append(whys, why)
	}
	if more := len(whys) - mostRefusals; more > 0 {
		whys = append(whys[:mostRefusals], fmt.Sprintf("and %d reasons more", more))
	}
	return strings.Join(whys, "; ")
}

// because is what refusals says, behind what the job waits for.
func (j *job) because(alive map[ledger.ClientID]wire.Hello) string {
	if why := j.refusals(alive); why != "" {
		return ": " + why
	}
	return ""
}

// mostRefusals is of how many reasons is told at a time.
const mostRefusals = 3

// refusal is what a ledger says of a client that takes no part: on which host it is, and
// why.
func refusal(text string) (host, why string) {
	_, text, _ = strings.Cut(text, " (")
	host, why, _ = strings.Cut(text, "): ")
	return host, why
}

// recruit asks clients that fit to open a session.
func (j *job) recruit() {
	alive := j.s.alive()
	working := map[ledger.ClientID]bool{}
	for _, p := range j.peers {
		working[p.client] = true
	}
	fit := j.fit(alive)
	for _, id := range fit {
		switch {
		case working[id]:
		case j.seen[id] == nil:
			j.look(id)
		default:
			why := j.differs(j.seen[id])
			if j.ledger.Phase != ledger.Running && j.ledger.Phase != ledger.Finishing {
				return // nobody knows who is right
			}
			if why != "" {
				j.refuse(id, why)
				continue
			}
			if time.Since(j.asked[id]) >= askEvery {
				j.asked[id] = time.Now()
				j.s.order(id, wire.Order{Job: j.spec.Job, Open: true})
			}
		}
	}
	switch {
	case len(j.peers) > 0:
		j.wait("")
	case len(alive) == 0:
		j.wait("all clients are gone")
	case len(fit) == 0:
		j.wait(fmt.Sprintf("none of the %d clients can work on it", len(alive)) + j.because(alive))
	}
}

// differs says why what a client sees is not the tree of this job.
func (j *job) differs(seen *wire.Seen) string {
	if seen.Err != "" {
		return seen.Err
	}
	for i, want := range j.ledger.Sights {
		if i >= len(seen.Sights) {
			return "it does not see all paths"
		}
		got, root := seen.Sights[i], string(j.spec.Roots[i])
		if got.Inode == want.Inode && got.Type == want.Type && got.Dir == want.Dir && (got.Err == "") == (want.Err == "") {
			if got.Empty && !want.Empty && got.Err == "" {
				// The roots of different file systems often have the same inode.
				return root + " is empty there"
			}
			continue
		}
		if want.Dir && want.Empty && got.Dir && !got.Empty {
			// Perhaps the first one, who saw nothing, was wrong.
			j.stop("failed", fmt.Sprintf("%s was empty to who looked first, and is not to client %s: is a mount missing there?", root, seen.Client))
			return ""
		}
		if got.Err != "" {
			return fmt.Sprintf("%s: %s", root, got.Err)
		}
		return fmt.Sprintf("%s is another directory there (inode %d, file system type %#x; others have inode %d, type %#x)", root, got.Inode, got.Type, want.Inode, want.Type)
	}
	return ""
}

// judge looks whether the job has ended, or has to.
func (j *job) judge() {
	l := j.ledger
	if !j.records {
		return
	}
	j.records = false
	if state, why := j.byApplication(); state != "" {
		j.stop(state, why)
		return
	}
	switch {
	case l.Done() && j.spec.Tail && !l.Tailed && !l.NoRoot():
		l.AddTail()
		j.event("info", "the walk is done: one client does what comes after it")
		return
	case l.Done() && j.spec.NeedsServer && !l.Hooks.Finished && !l.NoRoot():
		j.enter(ledger.Finishing)
		j.event("info", "the walk is done: the application goes on")
		return
	case l.Done():
		j.complete()
		return
	}
	if j.starves() {
		j.stop("stopped", "the limit of "+number(int(j.spec.Budget), "change")+" was reached")
		return
	}
	if most := j.now().MaxErrors; most > 0 && j.errors()-l.Forgiven >= most {
		j.stop("stopped", "ended after "+number(int(most), "error"))
	}
}

// byApplication tells how the application ended the walk, "" if it did not.
func (j *job) byApplication() (state, why string) {
	for r := range j.ledger.All() {
		switch {
		case j.ledger.Members[r.Session].Run != j.ledger.Resumed: // of before the job was resumed
		case r.Fatal != "":
			return "failed", r.Fatal
		case r.Stopped:
			state, why = "stopped", "the application ended the walk"
		}
	}
	return state, why
}

// errors counts those of all sessions, also what comes with their next records.
func (j *job) errors() (n int64) {
	for r := range j.ledger.All() {
		counted := r.Totals.Errors
		if p := j.peers[r.Session]; p != nil {
			counted = max(counted, p.Totals.Errors)
		}
		n += counted
	}
	return n
}

// complete ends a job of which nothing remains.
func (j *job) complete() {
	if j.ledger.NoRoot() {
		j.end(ledger.Verdict{State: "failed", Reason: "none of the paths could be opened"})
		return
	}
	j.end(ledger.Verdict{State: "complete"})
}

// end ends the job.
func (j *job) end(v ledger.Verdict) {
	l := j.ledger
	j.enter(ledger.Ended)
	l.Verdict, l.Finished = v, time.Now()
	j.wait("")
	var last time.Time
	for r := range l.All() {
		if r.At.After(last) {
			last = r.At
		}
	}
	j.event("info", "%s", strings.TrimSuffix(fmt.Sprintf("job ended: %s: %s", v.State, v.Reason), ": "))
	j.log.Debug("job ended", "since_last_record", l.Finished.Sub(last))
}

// number is a number of things, for people.
func number(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprint(n, " ", thing, "s")
}
