package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// errCorrupt is the error of a value that nobody of us wrote.
var errCorrupt = errors.New("corrupt")

// load reads what is known of the job.
func (j *job) load(ctx context.Context) error {
	v, err := j.table.Get(ctx, wire.KeyState)
	if err != nil {
		return err
	}
	state := new(ledger.State)
	if err := wire.Read(&v, state); err != nil {
		return err
	}
	values, err := j.table.List(ctx, wire.PrefixRec)
	if errors.Is(err, bus.ErrDamaged) {
		return fmt.Errorf("the records are %w: %w", errCorrupt, err)
	}
	if err != nil {
		return err
	}
	var records []*ledger.Record
	revs := map[ledger.SessionID]uint64{}
	for _, v := range values {
		r := new(ledger.Record)
		if err := wire.Read(&v, r); err != nil {
			return fmt.Errorf("the record %s is %w: %w", v.Key, errCorrupt, err)
		}
		records = append(records, r)
		revs[r.Session] = v.Rev
	}
	begun := !j.loaded.IsZero()
	j.ledger, j.rev, j.stale, j.loaded = ledger.NewJob(state, records), v.Rev, false, time.Now()
	known := j.peers
	j.peers = map[ledger.SessionID]*peer{}
	for _, r := range j.ledger.Records() {
		if r.End == ledger.Live {
			p := &peer{client: r.Client, rev: revs[r.Session], heard: time.Now()}
			if was := known[r.Session]; was != nil {
				p.paced = was.paced
			}
			j.peers[r.Session] = p
		}
	}
	if !begun && len(j.peers) > 0 {
		j.pacing.takeOver()
	}
	j.records = true
	// What commands changed was not written. Who has given up may have done
	// something else since.
	j.asks = slices.DeleteFunc(j.asks, func(a *asked) bool {
		select {
		case <-a.until:
			return true
		default:
			return false
		}
	})
	for _, a := range j.asks {
		a.err = j.command(a)
	}
	j.show()
	j.follow()
	if j.announced == "" {
		j.announced = j.ledger.Shown()
	}
	return nil
}

// refreshTime is how long a server that works on a job lets another one do so too
// until it reads what that wrote. Its own writes tell it at once.
const refreshTime = time.Second

// refresh reads all again where another server wrote the state: who does nothing,
// because the job has ended, learns of it in no other way. False: nothing is known
// for certain.
func (j *job) refresh(ctx context.Context) bool {
	if j.ledger.Phase != ledger.Ended && time.Since(j.loaded) < refreshTime {
		return true
	}
	err := j.load(ctx)
	if err != nil && ctx.Err() == nil {
		j.log.Warn("job can not be read", "err", err)
		pause(ctx, time.Second)
	}
	return err == nil
}

// watch sends what is written of the ledger to the job.
func (j *job) watch(ctx context.Context) {
	for ctx.Err() == nil {
		w, err := j.table.Watch(ctx, wire.PrefixLedger)
		if err == nil {
			for v := range w.Updates() {
				if v.Key != "" && !v.Deleted {
					j.send(event{value: &v})
				}
			}
			w.Stop()
			err = w.Err()
		}
		if errors.Is(err, bus.ErrNoTable) {
			j.send(event{gone: err})
			return
		}
		if errors.Is(err, bus.ErrClosed) {
			return
		}
		if errors.Is(err, bus.ErrDamaged) {
			// What comes after it is never seen.
			j.send(event{damaged: err})
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// record takes in what a session wrote.
func (j *job) record(v *bus.Value) {
	r := new(ledger.Record)
	if err := wire.Read(v, r); err != nil {
		j.doubt = fmt.Sprintf("the record %s is not one: %v", v.Key, err)
		return
	}
	j.ledger.Apply(r)
	j.records = true
	j.noted(r)
	known, p := j.ledger.Record(r.Session), j.peers[r.Session]
	switch {
	case known == nil || known.N != r.N: // it was on its way when a newer one was read
	case r.End == ledger.Live:
		j.greet(r, v.Rev)
	case p != nil:
		delete(j.peers, r.Session)
		j.changed = true
	}
	if why := j.ledger.Broken(); why != "" {
		j.doubt = "the records contradict each other: " + why
	}
}

// greet takes in a session that lives, by its record.
func (j *job) greet(r *ledger.Record, rev uint64) {
	p := j.peers[r.Session]
	if p == nil {
		p = &peer{client: r.Client, heard: time.Now()}
		if pulse, has := j.early[r.Session]; has {
			p.Pulse = pulse
			delete(j.early, r.Session)
		}
		j.peers[r.Session] = p
		delete(j.asked, r.Client)
		j.changed = true
		if phase := j.ledger.Phase; (phase == ledger.Running || phase == ledger.Finishing) && time.Since(j.ledger.Started) > newsEvery {
			j.aboutClient("info", r.Client, "client %s on %s takes part", r.Client, r.Host)
		}
	}
	p.rev = max(p.rev, rev)
}

// verify is called when what is known of the job makes no sense: perhaps it is out
// of date, because another server went on with it.
func (j *job) verify(ctx context.Context) {
	why := j.doubt
	j.doubt = ""
	err := j.load(ctx)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errCorrupt):
		why = err.Error()
	case err != nil:
		j.doubt = why
		j.log.Warn("job can not be read", "err", err)
		pause(ctx, time.Second)
		return
	case j.ledger.Broken() == "":
		return
	}
	j.failed(why)
}

// rivalTime is how long a server leaves a job to another one that writes its state.
const rivalTime = 200 * time.Millisecond

// write writes the state. False: somebody else did, or it could not be written;
// what was decided is void then, or will be written later.
func (j *job) write(ctx context.Context) bool {
	if j.lost {
		return true // who asks is told at least
	}
	data := ledger.Encode(j.ledger.Snapshot())
	putCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
	rev, err := j.table.Put(putCtx, wire.KeyState, data, j.rev)
	cancel()
	switch {
	case err == nil:
		j.rev = rev
		j.ledger.Written()
		if j.failing != "" {
			j.failing = ""
			j.event("info", "the state is written again")
		}
		return true
	case errors.Is(err, bus.ErrConflict):
		// Another server, or we a moment ago. Who is slower leaves it to the other: to
		// read all, only to find out that it wrote again, is of use to nobody.
		pause(ctx, rivalTime)
		if err := j.load(ctx); err != nil && ctx.Err() == nil {
			j.log.Warn("job can not be read", "err", err)
			pause(ctx, time.Second)
		}
		return false
	case errors.Is(err, bus.ErrUnknown):
		// It may be written, or be written yet: to try again tells. What is there now
		// does not.
		if connected, _ := j.s.o.Bus.Connected(); connected {
			j.complain(ctx, fmt.Errorf("%w: is the disk of the engine full?", err))
		}
		return false
	case errors.Is(err, bus.ErrNoTable):
		j.lost = true
		j.failed("the engine lost the job: " + err.Error())
		return true
	}
	j.complain(ctx, err)
	pause(ctx, time.Second)
	return false
}

// complain tells once why the state can not be written.
func (j *job) complain(ctx context.Context, err error) {
	if ctx.Err() == nil && j.failing == "" {
		j.failing = err.Error()
		j.event("warn", "the server can not write the state: %v", err)
	}
}
