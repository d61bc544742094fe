package hydra

import (
	"context"

	"github.com/hydrawalk/hydra/internal/post"
	"github.com/hydrawalk/hydra/walk"
)

// receiving is a handler whose worker receives messages: they come before each call.
type receiving struct {
	walk.Handler
	member *post.Member
	last   func(context.Context) error // before the last Flush, waits for messages; nil: others follow
}

// look gives the worker the messages that there are. An error ends the walk.
func (h *receiving) look(ctx context.Context) error {
	if !h.member.Due() {
		return nil
	}
	return fatal(h.member.Deliver(ctx))
}

func (h *receiving) File(ctx context.Context, e *walk.Entry) error {
	if err := h.look(ctx); err != nil {
		return err
	}
	return h.Handler.File(ctx, e)
}

func (h *receiving) Flush(ctx context.Context) error {
	if err := h.look(ctx); err != nil {
		return err
	}
	if h.last != nil {
		if err := h.last(ctx); err != nil {
			return err
		}
	}
	if f, ok := h.Handler.(walk.Flusher); ok {
		return f.Flush(ctx)
	}
	return nil
}

func (h *receiving) BatchSize(entries []walk.Entry) int {
	if b, ok := h.Handler.(walk.Batcher); ok {
		return b.BatchSize(entries)
	}
	return len(entries)
}

func (h *receiving) Batch(ctx context.Context, entries []walk.Entry) error {
	b, ok := h.Handler.(walk.Batcher)
	if !ok {
		return walk.Fatal(errNoBatches)
	}
	if err := h.look(ctx); err != nil {
		return err
	}
	return b.Batch(ctx, entries)
}

// receivingDirs is DirHandler of a handler that receives.
type receivingDirs struct {
	*receiving
	user walk.DirHandler
}

func (h receivingDirs) EnterDir(ctx context.Context, d *walk.Dir) error {
	if err := h.look(ctx); err != nil {
		return err
	}
	return h.user.EnterDir(ctx, d)
}

func (h receivingDirs) LeaveDir(ctx context.Context, d *walk.Dir) error {
	if err := h.look(ctx); err != nil {
		return err
	}
	return h.user.LeaveDir(ctx, d)
}

// receive wraps a handler whose worker receives messages. What the handler implements
// of package walk, the result does.
func receive(h walk.Handler, m *post.Member, last func(context.Context) error) walk.Handler {
	base := &receiving{h, m, last}
	dirs, hasDirs := h.(walk.DirHandler)
	filter, hasFilter := h.(walk.Filterer)
	errs, hasErrors := h.(walk.ErrorHandler)
	type (
		D = receivingDirs
		F = walk.Filterer
		E = walk.ErrorHandler
	)
	d := D{base, dirs}
	switch {
	case hasDirs && hasFilter && hasErrors:
		return struct {
			D
			F
			E
		}{d, filter, errs}
	case hasDirs && hasFilter:
		return struct {
			D
			F
		}{d, filter}
	case hasDirs && hasErrors:
		return struct {
			D
			E
		}{d, errs}
	case hasDirs:
		return d
	case hasFilter && hasErrors:
		return struct {
			*receiving
			F
			E
		}{base, filter, errs}
	case hasFilter:
		return struct {
			*receiving
			F
		}{base, filter}
	case hasErrors:
		return struct {
			*receiving
			E
		}{base, errs}
	}
	return base
}
