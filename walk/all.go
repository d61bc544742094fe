package walk

import (
	"context"
	"iter"
)

// All walks the tree below root and yields its entries, directories too, but
// not root itself unless it is no directory. An error comes as an [*Error] with
// a nil Entry. The order is that of no listing: several workers read, while the
// loop's body runs in the caller's goroutine. An entry is valid until the body
// ends. If ctx is cancelled, that is the last error.
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
		// Also when the body breaks or panics, the walk ends before All does.
		defer func() {
			cancel()
			for t := range turns {
				t.done <- false
			}
		}()
		var st Stat
		cut := false // the rest of a chunk was left out
		take := func(t turn) (live bool) {
			defer func() { t.done <- live }()
			if t.err != nil {
				return yield(nil, t.err)
			}
			for i := range t.entries {
				if ctx.Err() != nil {
					cut = true
					return true // to see the walk end
				}
				e := &t.entries[i]
				if !e.have {
					e.stat = &st
				}
				if !yield(e, nil) {
					return false
				}
			}
			return true
		}
		for t := range turns {
			if !take(t) {
				return
			}
		}
		err := <-done
		if err == nil && cut {
			err = context.Cause(ctx) // the walk was over before it saw that
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// turn is a chunk of a directory, or an error, to yield. done gets whether the
// loop goes on.
type turn struct {
	entries []Entry
	err     error
	done    chan bool
}

// yielder hands over what it is given, a chunk at a time, and waits for the
// loop's body.
type yielder struct {
	turns chan<- turn
	done  chan bool
}

func (y *yielder) hand(entries []Entry, err error) bool {
	y.turns <- turn{entries, err, y.done}
	return <-y.done
}

func (y *yielder) Filter(_ context.Context, _ *Dir, entries []Entry) []Entry {
	if !y.hand(entries, nil) {
		return nil
	}
	return entries
}

func (y *yielder) File(_ context.Context, e *Entry) error {
	if e.Depth() == 0 { // a root, which no Filter sees
		y.hand([]Entry{*e}, nil)
	}
	return nil
}

func (y *yielder) Error(_ context.Context, err *Error) { y.hand(nil, err) }
