package hydra

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hydrawalk/hydra/walk"
)

// Act is a change of one entry. It is written down as an intent, durably, before it is
// done, and then what came of it: see [Worker.Plan].
type Act struct {
	Op   string // remove, move; a word of the application's own if it is neither
	Root string // of the walk
	Path string // bytes as the file system has them
	To   string // where it is moved to, absolute; "" otherwise
	// Stat is the entry as it was when the act was planned.
	Stat walk.Stat

	Result ActResult
	Error  string // why it failed
}

// ActResult is what came of an act.
type ActResult string

// What can come of an act.
const (
	ActDone    ActResult = "done"
	ActFailed  ActResult = "failed"
	ActChanged ActResult = "changed"  // it is another entry now, or was changed: it stays
	ActGone    ActResult = "gone"     // somebody else removed it before
	ActLimit   ActResult = "limit"    // it was not done, for the limit was reached
	ActInDoubt ActResult = "in_doubt" // the client died when it was about to do it, and the entry is gone

	actIntent ActResult = "intent"
	actNote   ActResult = "note"
	actRenew  ActResult = "renew"
)

// Actor is a handler of an application that changes things.
type Actor interface {
	// Act does what was planned and sets a.Result, and a.Error if it failed. It looks
	// first whether h is still what a.Stat says. It is called on the worker's goroutine
	// when the intent is durable, and not at all if that is not certain any more.
	Act(ctx context.Context, h *walk.Held, a *Act)
}

// Bounds of what a worker plans before it is done. Each directory is kept open, and
// who is frozen or dies leaves so many in doubt.
const (
	mostActs     = 1000
	mostActDirs  = 64
	mostActBytes = 256 << 10 // of paths, and of notes
	actsFor      = time.Second
)

// Plan plans an act: op is its name, to is where the entry is moved to, "" if it is
// not. It is done by the handler's Act soon, at the latest before what was counted is
// committed; then App.Acted counts it. The handler has called e.Stat before. Only the
// worker's own handler may call it, in File; an error is to be returned to the walk.
func (w *Worker[C, S]) Plan(ctx context.Context, e *walk.Entry, op, to string) error {
	if w.acts == nil {
		return walk.Fatal(fmt.Errorf("an application that changes things has to say so: App.Changes"))
	}
	return w.acts.plan(ctx, e, op, to)
}

// Note writes something down among the acts, as JSON, for [Tail.Lines]. It belongs to
// what is counted: if this worker dies and its work is done again, only the note of
// who does it is valid. Only the worker's own handler may call it.
func (w *Worker[C, S]) Note(v any) error {
	if w.acts == nil {
		return walk.Fatal(fmt.Errorf("an application that writes notes has to say so: App.Changes"))
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("note %T: %w", v, err)
	}
	w.acts.note(data)
	return nil
}

// ActLimitError is the error of a run that was ended by [Options.MaxActs].
type ActLimitError struct{ Limit int64 }

func (e *ActLimitError) Error() string {
	if e.Limit == 1 {
		return "ended after 1 change, which was the limit"
	}
	return fmt.Sprintf("ended after %d changes, which was the limit", e.Limit)
}
