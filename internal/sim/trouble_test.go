package sim

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

const job = "job1"

// live lives through a world: trouble for a while, and then the job has to end as
// if there had been none.
func (w *world) live() error {
	w.engine.SetFaults(w.faults())
	if w.Stop != "" {
		w.stopAtSome()
	}
	for range w.Servers {
		w.serve()
	}
	late := w.r.IntN(w.Late + 1)
	for range w.Clients - late {
		w.work(1 + w.r.IntN(w.Workers))
	}
	if err := w.submit(w.spec(job)); err != nil {
		return err
	}
	end := time.Now().Add(w.Trouble)
	cancelled := !w.Cancel
	for left := w.Incidents; left > 0 && time.Now().Before(end); left-- {
		w.sleep(time.Duration(w.r.Int64N(1 + int64(2*time.Until(end))/int64(left+1))))
		if late > 0 && w.r.IntN(2) == 0 {
			w.work(1 + w.r.IntN(w.Workers))
			late--
		}
		if !cancelled && w.r.IntN(3) == 0 {
			cancelled = true
			if err := w.cancelAndResume(); err != nil {
				return err
			}
		}
		w.incident()
	}
	w.sleep(time.Until(end))
	w.calm()
	// All of it by one worker, and twice the server's patience.
	limit := time.Duration(w.want.work)*max(w.Effort.File, w.Effort.Dir, w.OpenTime) + 3*time.Minute
	for range 5 {
		if err := w.waitEnd(job, limit); err != nil {
			return err
		}
		if _, v := w.phase(job); !w.Cancel && !w.Steer || v.State != "cancelled" {
			break
		}
		// A server that was frozen may carry out late what it was asked for.
		_, err := w.ask(wire.Ask{Kind: wire.AskResume, Job: job}, time.Minute)
		w.log.Info("RESUME", "err", err)
		w.sleep(time.Second)
	}
	return w.judge()
}

// judge compares the result with what it should be.
func (w *world) judge() error {
	res, err := read(context.Background(), w.own, job)
	if err != nil {
		return err
	}
	want := map[string]string{"skip": "stopped", "fatal": "failed"}[w.Stop]
	if want != "" && res.Verdict.State == want {
		return res.consistent()
	}
	if w.stops.Load() && !w.Cancel && res.Verdict.State == "complete" {
		return errors.New("the application ended the walk, and the job is complete")
	}
	if w.Cancel && res.Verdict.State == "cancelled" && res.ledger.Done() {
		res.Verdict = ledger.Verdict{State: "complete"} // a moment too late
	}
	err = res.compare(w.want)
	if n := len(res.state.Avoid); err != nil && n > 0 && n < 8 {
		// Clients that were killed in one directory three times by chance make it an
		// error, unless somebody has done it before that was known.
		for some := 1; some < 1<<n; some++ {
			fate := map[string]string{}
			for i, a := range res.state.Avoid {
				if some&(1<<i) != 0 {
					fate[strings.TrimSuffix(w.tree.rootName(a.Root)+"/"+string(a.Path), "/")] = "failed"
				}
			}
			if res.compare(expectWith(w.tree, &w.Rules, fate)) == nil {
				return nil
			}
		}
		return res.consistent() // half of it was done
	}
	return err
}

var errFatal = errors.New("the end")

// stopAtSome makes the application end the walk at some files.
func (w *world) stopAtSome() {
	w.adjust = func(_ *process, _ *view, a *app) {
		a.file = func(path string) error {
			switch {
			case !chance(hashOf(path), 40, 20):
				return nil
			}
			w.stops.Store(true)
			switch {
			case w.Stop == "skip":
				return fs.SkipAll
			}
			return walk.Fatal(errFatal)
		}
	}
}

// incident lets something happen.
func (w *world) incident() {
	for _, p := range w.clients {
		select {
		case <-p.ended: // a user drained it
			p.gone = true
		default:
		}
	}
	live := func(ps []*process) []*process {
		return slices.DeleteFunc(slices.Clone(ps), func(p *process) bool { return p.gone })
	}
	clients, servers := live(w.clients), live(w.servers)
	who := append(slices.Clone(clients), servers...)
	if len(clients) == 0 {
		w.work(1 + w.r.IntN(w.Workers))
		return
	}
	if len(servers) == 0 {
		w.serve()
		return
	}
	p := who[w.r.IntN(len(who))]
	long := time.Duration(w.r.Int64N(int64(pick(w.r, 200*time.Millisecond, 3*time.Second, 15*time.Second))))
	what := w.r.IntN(20)
	if w.Steer && w.r.IntN(3) == 0 {
		w.steer(long)
		return
	}
	w.log.Info("INCIDENT", "what", what, "process", p.name, "for", long)
	switch {
	case what < 4: // a client dies, and another comes
		w.kill(clients[w.r.IntN(len(clients))])
		if w.r.IntN(3) > 0 {
			w.after(long, func() { w.work(1 + w.r.IntN(w.Workers)) })
		}
	case what < 6:
		w.drain(clients[w.r.IntN(len(clients))])
		if w.r.IntN(3) > 0 {
			w.after(long, func() { w.work(1 + w.r.IntN(w.Workers)) })
		}
	case what < 9:
		p.h.Freeze()
		w.after(long, p.h.Thaw)
	case what < 12:
		p.h.Cut()
		w.after(long, p.h.Heal)
	case what < 14:
		w.kill(servers[w.r.IntN(len(servers))])
		w.after(long, func() { w.serve() })
	case what < 15: // two servers, for a while
		p := w.serve()
		w.after(long, func() { w.kill(p) })
	case what < 16:
		w.engine.Stop()
		w.after(long, w.engine.Start)
	case what < 18: // all parted
		for _, p := range who {
			if w.r.IntN(2) == 0 {
				p.h.Cut()
				w.after(long, p.h.Heal)
			}
		}
	default:
		w.work(1 + w.r.IntN(w.Workers))
	}
}

// later is something that is to happen.
type later struct {
	at time.Time
	do func()
}

// after does something later, in sleep, unless the trouble is over.
func (w *world) after(d time.Duration, f func()) {
	w.pending = append(w.pending, later{time.Now().Add(d), f})
}

// sleep sleeps, and does meanwhile what is to happen.
func (w *world) sleep(d time.Duration) {
	for end := time.Now().Add(d); ; {
		slices.SortStableFunc(w.pending, func(a, b later) int { return a.at.Compare(b.at) })
		if len(w.pending) == 0 || w.pending[0].at.After(end) {
			time.Sleep(time.Until(end))
			return
		}
		next := w.pending[0]
		w.pending = w.pending[1:]
		time.Sleep(time.Until(next.at))
		next.do()
	}
}

// calm undoes all trouble.
func (w *world) calm() {
	w.log.Info("CALM")
	w.calmed = true
	w.pending = nil
	w.engine.SetFaults(membus.Faults{Delay: func(*rand.Rand) time.Duration { return time.Millisecond }})
	w.engine.Start()
	for _, p := range w.all {
		p.h.Heal()
		p.h.Thaw()
	}
	for _, ps := range []*[]*process{&w.clients, &w.servers} {
		if !slices.ContainsFunc(*ps, func(p *process) bool { return !p.gone }) {
			if ps == &w.clients {
				w.work(w.Workers)
			} else {
				w.serve()
			}
		}
	}
}

// cancelAndResume cancels the job, unless it is complete before.
func (w *world) cancelAndResume() error {
	_, err := w.ask(wire.Ask{Kind: wire.AskCancel, Job: job}, time.Minute)
	w.log.Info("CANCEL", "err", err)
	if err != nil {
		return nil // there may be nobody to end the job
	}
	if err := w.waitEnd(job, 5*time.Minute); err != nil {
		return fmt.Errorf("after it was cancelled: %w", err)
	}
	var res *result
	for try := 0; ; try++ {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // many parts, one by one
		res, err = read(ctx, w.own, job)
		cancel()
		if err == nil {
			break
		} else if try == 20 {
			return err
		}
		w.sleep(time.Second)
	}
	if err := res.consistent(); err != nil {
		return fmt.Errorf("after it was cancelled: %w", err)
	}
	for range 10 {
		if phase, _ := w.phase(job); phase != ledger.Ended || res.ledger.Done() {
			break
		}
		_, err = w.ask(wire.Ask{Kind: wire.AskResume, Job: job}, time.Minute)
		w.log.Info("RESUME", "err", err)
		w.sleep(time.Second)
	}
	return nil
}
