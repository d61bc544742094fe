package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/hydrawalk/hydra/internal/bus"
)

// refusals ends requests that the engine refuses: it says so beside the answer, which
// never comes.
type refusals struct {
	mu      sync.Mutex
	waiting map[string]map[*context.CancelCauseFunc]struct{} // by subject
}

// watch returns a context that ends, with a cause that is ErrAuth, when the engine
// refuses a message with a subject. done is to be called in any case.
func (r *refusals) watch(ctx context.Context, subject string) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = map[string]map[*context.CancelCauseFunc]struct{}{}
	}
	if r.waiting[subject] == nil {
		r.waiting[subject] = map[*context.CancelCauseFunc]struct{}{}
	}
	r.waiting[subject][&cancel] = struct{}{}
	return ctx, func() {
		cancel(nil)
		r.mu.Lock()
		defer r.mu.Unlock()
		if delete(r.waiting[subject], &cancel); len(r.waiting[subject]) == 0 {
			delete(r.waiting, subject)
		}
	}
}

// note takes in what the engine says.
func (r *refusals) note(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	_, quoted, _ := strings.Cut(strings.ToLower(err.Error()), `for publish to "`)
	r.mu.Lock()
	defer r.mu.Unlock()
	for subject, all := range r.waiting {
		// In words that the library may have changed to small letters.
		if !strings.HasPrefix(quoted, strings.ToLower(subject)+`"`) {
			continue
		}
		for cancel := range all {
			(*cancel)(fmt.Errorf("%w: it does not allow this", bus.ErrAuth))
		}
	}
}
