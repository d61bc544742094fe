package hydra

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/hydrawalk/hydra/walk"
	"github.com/klauspost/compress/zstd"
)

// What the workers of a session emit waits for the next cut, and is written before the
// record that names it: see [github.com/hydrawalk/hydra/internal/wire.KeyOutput].
//
//	worker: Emit ─► raw ─ full ─► frames ─ Cut ─► of an epoch ─ Sum ─► parts ─► written
//
// A frame is what was emitted by some calls, compressed; a part is one value of the table.

const (
	frameBytes = 64 << 10 // emitted bytes of a frame; one call may have more
	partBytes  = 4 << 20  // of a part; one frame may have more

	// emitsEnough is how many bytes ask to be written down, and emitsMost how many may
	// wait while others are being written.
	emitsEnough = 8 << 20
	emitsMost   = 32 << 20
)

// emitted is what the workers of a session emitted and nobody has written down. Any
// goroutine may use it.
type emitted struct {
	zip *zstd.Encoder

	mu      sync.Mutex
	waits   int           // bytes that wait for a cut, or of a cut to be written
	writing chan struct{} // is closed when what is being written is; nil: nothing is
	wake    func()        // the session, when there is enough
	parts   [][]byte      // of the cut that was made last
}

func newEmitted() (*emitted, error) {
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(256<<10), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, err
	}
	return &emitted{zip: zip, wake: func() {}}, nil
}

// emits is what one worker emitted since its last cut. Only its goroutine touches it.
type emits struct {
	e      *emitted
	raw    []byte
	frames [][]byte
}

// emit adds to it. It waits while too much is being written.
func (w *emits) emit(ctx context.Context, p []byte) error {
	if len(w.raw)+len(p) > frameBytes {
		if len(p) > MostEmit {
			return tooMuch(len(p))
		}
		w.seal()
		if err := w.e.room(ctx); err != nil {
			return walk.Fatal(err)
		}
	}
	w.raw = append(w.raw, p...)
	return nil
}

// seal makes a frame.
func (w *emits) seal() {
	if len(w.raw) == 0 {
		return
	}
	frame := w.e.zip.EncodeAll(w.raw, nil)
	if cap(w.raw) > 2*frameBytes {
		w.raw = nil // of a large one: it is rare
	}
	w.raw = w.raw[:0]
	w.frames = append(w.frames, frame)
	w.e.add(len(frame))
}

// take takes what was emitted, in a cut.
func (w *emits) take() [][]byte {
	w.seal()
	frames := w.frames
	w.frames = nil
	return frames
}

func (e *emitted) add(n int) {
	e.mu.Lock()
	before := e.waits
	e.waits += n
	wake := e.wake
	e.mu.Unlock()
	if before < emitsEnough && before+n >= emitsEnough {
		wake()
	}
}

// room returns when there is room for more. It waits only for what is being written: then
// what was emitted since is cut, so that who emits now must not be waited for.
func (e *emitted) room(ctx context.Context) error {
	for {
		e.mu.Lock()
		writing := e.writing
		if e.waits < emitsMost {
			writing = nil
		}
		e.mu.Unlock()
		if writing == nil {
			return nil
		}
		select {
		case <-writing:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// pack makes parts of the frames of a cut.
func (e *emitted) pack(frames [][]byte) {
	var parts [][]byte
	var part []byte
	n := 0
	for _, f := range frames {
		if len(part) > 0 && len(part)+len(f) > partBytes {
			parts, part = append(parts, part), nil
		}
		part = binary.AppendUvarint(part, uint64(len(f)))
		part = append(part, f...)
		n += len(f)
	}
	if len(part) > 0 {
		parts = append(parts, part)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.parts = append(e.parts, parts...)
	if e.writing == nil && n > 0 {
		e.writing = make(chan struct{})
	}
}

// Wake implements the client's Emitter.
func (e *emitted) Wake(wake func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wake = wake
}

// Enough implements the client's Emitter.
func (e *emitted) Enough() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.waits >= emitsEnough
}

// Output implements the client's Emitter.
func (e *emitted) Output() [][]byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	parts := e.parts
	e.parts = nil
	return parts
}

// Wrote implements the client's Emitter.
func (e *emitted) Wrote(bytes int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waits = max(0, e.waits-bytes)
	if e.writing != nil {
		close(e.writing)
		e.writing = nil
	}
}

var errBadPart = errors.New("a part of the output is not as it was written")

// unpack calls f with what was emitted by some calls, again and again, for all that is
// in a part. f may keep nothing.
func unpack(zip *zstd.Decoder, buf *[]byte, part []byte, f func([]byte) error) error {
	for len(part) > 0 {
		size, n := binary.Uvarint(part)
		if n <= 0 || size > uint64(len(part)-n) {
			return errBadPart
		}
		raw, err := zip.DecodeAll(part[n:n+int(size)], (*buf)[:0])
		if err != nil {
			return fmt.Errorf("%w: %w", errBadPart, err)
		}
		*buf = raw
		part = part[n+int(size):]
		if err := f(raw); err != nil {
			return err
		}
	}
	return nil
}
