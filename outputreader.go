package hydra

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/klauspost/compress/zstd"
)

// newUnzip makes a decoder of frames. Its memory is bounded, whatever stands in the table.
func newUnzip() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MostEmit+frameBytes))
}

// outputReader copies the output of a job to where it is wanted: each part of each
// session once, as its record says that it is there. It outlives a lost connection, and
// may be given another one. Its methods may be called on nil: nobody wants the output.
type outputReader struct {
	app distributed
	to  io.Writer
	// drop removes what was copied: nobody else will want it.
	drop bool

	mu    sync.Mutex
	w     io.WriteCloser // nil: nothing was asked for yet
	seen  map[ledger.SessionID]uint32
	zip   *zstd.Decoder
	buf   []byte
	err   error // of writing: there is no use in going on
	ended bool
}

func newOutputReader(app distributed, o *JobOptions) *outputReader {
	if o.Output == nil || !app.Info().Emits {
		return nil
	}
	return &outputReader{app: app, to: o.Output, drop: o.local, seen: map[ledger.SessionID]uint32{}}
}

// open opens what the application does with the output.
func (r *outputReader) open(ctx context.Context, table bus.Table) error {
	if r.w != nil || r.err != nil {
		return r.err
	}
	spec := new(wire.Spec)
	if err := read(ctx, table, wire.KeySpec, spec); err != nil {
		return err
	}
	var err error
	if r.zip, err = newUnzip(); err == nil {
		r.w, err = r.app.output(spec, r.to)
	}
	r.err = err
	return err
}

// take copies what a record names and was not copied before.
func (r *outputReader) take(ctx context.Context, table bus.Table, rec *ledger.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.open(ctx, table); err != nil {
		return err
	}
	for n := r.seen[rec.Session]; n < rec.Output; n++ {
		key := wire.KeyOutput(rec.Session, n)
		v, err := table.Get(ctx, key)
		if err != nil {
			return err
		}
		// What was written of it can not be taken back: it is not tried again.
		r.seen[rec.Session] = n + 1
		err = unpack(r.zip, &r.buf, v.Data, func(p []byte) error {
			if _, err := r.w.Write(p); err != nil {
				return &OutputError{err}
			}
			return nil
		})
		if err != nil {
			r.err = err
			return err
		}
		if r.drop {
			_ = table.Delete(ctx, key) // it needs room, and does no other harm
		}
	}
	return nil
}

// finish copies all that there is and was not copied, and ends the output.
func (r *outputReader) finish(ctx context.Context, table bus.Table) error {
	if r == nil {
		return nil
	}
	values, err := table.List(ctx, wire.PrefixRec)
	if err != nil {
		return err
	}
	for _, v := range values {
		rec := new(ledger.Record)
		if err := wire.Read(&v, rec); err != nil {
			return err
		}
		if err := r.take(ctx, table, rec); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.open(ctx, table); err != nil || r.ended {
		return err
	}
	r.ended = true
	if err := r.w.Close(); err != nil {
		r.err = &OutputError{err}
	}
	return r.err
}

// failure is why there is no use in going on.
func (r *outputReader) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// follow copies the output as it comes, until ctx ends or it can not be written. broken is
// called then.
func (r *outputReader) follow(ctx context.Context, b bus.Bus, job string, broken func(error)) {
	for ctx.Err() == nil {
		err := r.watch(ctx, b, job)
		if failure := r.failure(); failure != nil {
			broken(failure)
			return
		}
		if errors.Is(err, bus.ErrNoTable) {
			return // what became of the job is told elsewhere
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (r *outputReader) watch(ctx context.Context, b bus.Bus, job string) error {
	table, err := b.Open(ctx, wire.Table(job))
	if err != nil {
		return err
	}
	w, err := table.Watch(ctx, wire.PrefixRec)
	if err != nil {
		return err
	}
	defer w.Stop()
	for v := range w.Updates() {
		rec := new(ledger.Record)
		if v.Key == "" || v.Deleted || wire.Read(&v, rec) != nil {
			continue // who looks at the result tells what is wrong
		}
		if err := r.take(ctx, table, rec); err != nil {
			return err
		}
	}
	return w.Err()
}
