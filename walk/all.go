package walk

import (
	"context"
	"errors"
	"io/fs"
	"iter"
)

// All walks the tree below root and yields its entries: what is not a directory
// as an [Entry], and errors as an [*Error] without one. Directories are read by
// several workers, the loop's body runs in the caller's goroutine. An entry is
// valid until the body ends. When ctx is cancelled, the last error is its cause.
func All(ctx context.Context, root string, o *Options) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		turns := make(chan turn)
		done := make(chan error, 1)
		go func() {
			defer close(turns)
			_, err := Trees(ctx, []string{root}, func(int) (Handler, error) {
				return &yielder{turns: turns, done: make(chan bool)}, nil
			}, o)
			done <- err
		}()
		live := true
		// Also when the body breaks or panics, the walk ends before All does.
		defer func() {
			cancel()
			for t := range turns {
				t.done <- false
			}
		}()
		for t := range turns {
			live = live && yield(t.entry, t.err)
			t.done <- live
			if !live {
				return
			}
		}
		if err := <-done; err != nil && !errors.Is(err, fs.SkipAll) {
			yield(nil, err)
		}
	}
}

// turn is something to yield; done says whether the loop goes on.
type turn struct {
	entry *Entry
	err   error
	done  chan bool
}

// yielder hands its entries over, one at a time, and waits for the loop's body.
type yielder struct {
	turns chan<- turn
	done  chan bool
}

func (y *yielder) File(_ context.Context, e *Entry) error {
	y.turns <- turn{entry: e, done: y.done}
	if !<-y.done {
		return fs.SkipAll
	}
	return nil
}

func (y *yielder) Error(_ context.Context, err *Error) {
	y.turns <- turn{err: err, done: y.done}
	<-y.done
}
