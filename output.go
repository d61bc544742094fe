package hydra

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/walk"
)

// The output of a run is what its workers emitted. Here it goes straight to where it is
// wanted; the sessions of a job write it down first: see emitted and outputReader.
//
//	worker: Emit ─► buffer ─► outlet ─► App.Output ─► Options.Output

// MostEmit is the most bytes that one call of [Worker.Emit] takes.
const MostEmit = 16 << 20

// OutputError is the error of a run whose output could not be written, by whatever
// App.Output made or by Options.Output.
type OutputError struct{ Err error }

func (e *OutputError) Error() string { return "the output can not be written: " + e.Err.Error() }
func (e *OutputError) Unwrap() error { return e.Err }

// Emit adds to the output of the run: whole lines or records of the application's own
// format, any bytes, at most MostEmit of them. The order in which calls come out is not
// that in which they were made, but nothing comes between the bytes of one. p is copied.
//
// What is emitted belongs to what is counted at that moment: of a job it comes out exactly
// once, whichever clients die. Only the worker's own handler may call it, and only if App.Emits
// is set. An error is to be returned to the walk.
func (w *Worker[C, S]) Emit(p []byte) error {
	if w.emit == nil {
		return nil // a worker of a test, that is in no run
	}
	return w.emit(p)
}

var errNoOutput = walk.Fatal(errors.New("the application emits, but does not say so: App.Emits is not set"))

func tooMuch(n int) error {
	return walk.Fatal(fmt.Errorf("%d bytes are emitted at once, and %d are the most", n, MostEmit))
}

// wrapOutput opens what an application does with its output on the way to w.
func (a *App[C, S]) wrapOutput(settings C, w io.Writer) (io.WriteCloser, error) {
	if a.Output == nil {
		return plainOutput{w}, nil
	}
	out, err := a.Output(settings, w)
	if err != nil {
		return nil, &OutputError{err}
	}
	return out, nil
}

// plainOutput is the output as it was emitted.
type plainOutput struct{ io.Writer }

func (plainOutput) Close() error { return nil }

const (
	// emitBuffer is how much of its output a worker keeps.
	emitBuffer = 32 << 10
	// emitEvery is how long it does that.
	emitEvery = 100 * time.Millisecond
)

// outlet is where the output of a run in this process goes. Its methods may be called on
// nil: nobody wants it.
type outlet struct {
	fail func(error) // is called once, when it can not be written any more
	stop chan struct{}
	wg   sync.WaitGroup

	mu  sync.Mutex
	w   io.WriteCloser
	err error

	buffersMu sync.Mutex
	buffers   []*emitBuf
}

func newOutlet(w io.WriteCloser, fail func(error)) *outlet {
	o := &outlet{w: w, fail: fail, stop: make(chan struct{})}
	o.wg.Go(o.flushOld)
	return o
}

// flushOld writes what workers keep for long: what was found is to be seen before
// more is, if that takes its time.
func (o *outlet) flushOld() {
	tick := time.NewTicker(emitEvery)
	defer tick.Stop()
	for {
		select {
		case <-o.stop:
			return
		case <-tick.C:
		}
		o.buffersMu.Lock()
		buffers := o.buffers
		o.buffersMu.Unlock()
		for _, b := range buffers {
			_ = b.flush() // it is remembered
		}
	}
}

// write writes whole records.
func (o *outlet) write(p []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		if _, err := o.w.Write(p); err != nil {
			o.err = &OutputError{err}
			o.fail(o.err)
		}
	}
	return o.err
}

// close ends the output when no worker emits any more.
func (o *outlet) close() error {
	if o == nil {
		return nil
	}
	close(o.stop)
	o.wg.Wait()
	for _, b := range o.buffers {
		_ = b.flush()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.w.Close(); err != nil && o.err == nil {
		o.err = &OutputError{err}
	}
	return o.err
}

// worker makes what one worker emits with.
func (o *outlet) worker() func([]byte) error {
	if o == nil {
		return func(p []byte) error {
			if len(p) > MostEmit {
				return tooMuch(len(p))
			}
			return nil
		}
	}
	b := &emitBuf{o: o, buf: make([]byte, 0, emitBuffer)}
	o.buffersMu.Lock()
	// A copy: flushOld may be at the old one.
	o.buffers = append(o.buffers[:len(o.buffers):len(o.buffers)], b)
	o.buffersMu.Unlock()
	return b.emit
}

// emitBuf is what a worker keeps.
type emitBuf struct {
	o   *outlet
	mu  sync.Mutex // the worker's, and flushOld's now and then
	buf []byte
}

func (b *emitBuf) emit(p []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.buf)+len(p) > emitBuffer {
		if len(p) > MostEmit {
			return tooMuch(len(p))
		}
		if err := b.flushLocked(); err != nil {
			return walk.Fatal(err)
		}
		if len(p) >= emitBuffer {
			if err := b.o.write(p); err != nil {
				return walk.Fatal(err)
			}
			return nil
		}
	}
	b.buf = append(b.buf, p...)
	return nil
}

func (b *emitBuf) flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.flushLocked()
}

func (b *emitBuf) flushLocked() error {
	if len(b.buf) == 0 {
		return nil
	}
	err := b.o.write(b.buf)
	b.buf = b.buf[:0]
	return err
}

// openOutlet is where the output of a run in this process goes, nil if nobody wants it.
func (r *run[C, S]) openOutlet(fail context.CancelCauseFunc) (*outlet, error) {
	if !r.app.Emits || r.o.Output == nil {
		return nil, nil
	}
	w, err := r.app.wrapOutput(r.settings, r.o.Output)
	if err != nil {
		return nil, err
	}
	return newOutlet(w, fail), nil
}

// emitter is what a worker of the run emits with.
func (r *run[C, S]) emitter() func([]byte) error {
	if !r.app.Emits {
		return func([]byte) error { return errNoOutput }
	}
	return r.outlet.worker()
}
