package walk

import (
	"context"
	"errors"
	"slices"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// ErrEnding is what Await returns when the walk ends before what is waited for. A
// handler that returns it, wrapped or not, says that nothing came of the call:
// what it was called for is not counted, and in a shared walk it remains.
var ErrEnding = errors.New("the walk is ending")

// Await waits until done is closed, however long that takes, and is how [Handler.File]
// and [Batcher.Batch] wait for what is done elsewhere: by a command, or a service.
// Meanwhile nobody waits for this worker. What is behind the entry is given to
// others, and in a shared walk the worker takes part in cuts, in which the entry
// remains as if File had not been called; so whoever waits must have counted nothing
// of it yet. Flush may be called by Await.
//
// It returns [ErrEnding] if the walk ends, or ctx.Err() if ctx does. Then the call
// should come to its end soon, and return that error.
func (e *Entry) Await(ctx context.Context, done <-chan struct{}) error {
	return e.w.await(ctx, e.dir, done)
}

// Await is [Entry.Await] for EnterDir and LeaveDir, and for them alone.
func (d *Dir) Await(ctx context.Context, done <-chan struct{}) error {
	return d.reading.by.await(ctx, d, done)
}

// Again tells whether what is done with the entry may have been done before: by a
// process that died, or had to give it back. In a walk of one process it is false.
func (e *Entry) Again() bool { return e.dir.Again() }

// Again tells whether what is done with the directory or with entries of it may have
// been done before: see [Entry.Again].
func (d *Dir) Again() bool { return d.careful || d.again }

// visit says in which call of its handler a worker is.
type visit uint8

const (
	callFile visit = iota // or in none
	callRoot              // File or Batch, for a root that is a file
	callBatch
	callEnter
	callLeave
)

// await waits in a call of the handler.
//
//	 ┌──── woken ────┐
//	 ▼               │
//	done? ─► ending? ─► a cut? ─► wait
func (w *worker) await(ctx context.Context, d *Dir, done <-chan struct{}) error {
	if w.in == callFile {
		w.offerRest(d)
	}
	w.share()
	if s := w.p.share; s != nil {
		s.lookLow(w)
	}
	for {
		select {
		case <-done:
			return nil
		default:
		}
		switch {
		case w.p.stopping():
			return ErrEnding
		case ctx.Err() != nil:
			return ctx.Err()
		case w.behind():
			w.cut(ctx, w.inHand(d))
			continue
		}
		w.p.awaits(ctx, w, done)
	}
}

// awaits makes a worker wait until something is asked of it, or done is closed.
func (p *pool) awaits(ctx context.Context, w *worker, done <-chan struct{}) {
	p.mu.Lock()
	if p.over || w.behind() {
		p.mu.Unlock()
		return
	}
	p.resting = append(p.resting, w)
	p.mu.Unlock()
	select {
	case <-w.wake:
	case <-done:
		p.endRest(w)
	case <-ctx.Done():
		p.endRest(w)
	}
}

// endRest takes a worker off the list of those that rest, which was not woken.
func (p *pool) endRest(w *worker) {
	p.mu.Lock()
	i := slices.Index(p.resting, w)
	if i >= 0 {
		p.resting = slices.Delete(p.resting, i, i+1)
	}
	p.mu.Unlock()
	if i < 0 {
		<-w.wake
	}
}

// inHand is what a cut notes that is made in a call of the handler: it remains.
func (w *worker) inHand(d *Dir) task {
	switch w.in {
	case callRoot, callEnter:
		return w.begun(w.task)
	case callFile:
		w.tally(d)
		w.queueSubs(d)
		return again(w.rest(d, w.fromHere()))
	default:
		return again(w.rest(d, nil))
	}
}

// begun is a task that is a directory to open, or a root that is a file, for which
// the handler was called already.
func (w *worker) begun(t task) task {
	it := Item{Root: t.dir.root.number, File: t.dir.depth < 0, Careful: t.dir.careful}
	if !it.File {
		it.Path = t.dir.relative()
	}
	if t.x != nil && t.x.item != nil {
		it = *t.x.item
	}
	it.Again = true
	t.x = &piece{item: &it}
	return t
}

// again says of a task of rest that the handler was called for it.
func again(t task) task {
	t.x.again = true
	return t
}

// fromHere is the chunk at hand from the entry on that File was called for.
func (w *worker) fromHere() []byte { return w.handAll[len(w.handAll)-w.hereLen:] }

// offerRest gives others what is behind the entry that File was called for, and the
// subdirectories that were found before it: nobody knows how long the call takes.
func (w *worker) offerRest(d *Dir) {
	w.tally(d)
	w.queueSubs(d)
	here := w.fromHere()
	var ent rawdir.Dirent
	rest, err := rawdir.Next(here, &ent)
	if err != nil {
		return
	}
	if _, err := rawdir.Next(rest, &ent); err != nil || ent.Name == "" {
		return
	}
	first := len(here) - len(rest)
	if w.p.share != nil {
		here = w.splitShared(d, here, first)
	} else {
		here = w.splitPlain(d, here, first)
	}
	w.offered += w.hereLen - len(here)
	w.hereLen = len(here)
}
