package hydra

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/walk"
)

// hostRules are what the jobs of a server may do where a client runs. Whoever starts the
// client makes them, and it asks its own program whether a job keeps to them: what a
// server or the submitter of a job says counts for nothing. A nil one lets jobs do all,
// as those of a run in this process, which its user began.
type hostRules struct {
	allow []string     // applications that may change something
	root  *walk.Within // in which all has to lie; nil: no bound
	runAs *Account     // whose commands theirs are; nil: that of this process
}

// newHostRules checks what was said to a client that has these applications.
func newHostRules(ctx context.Context, o *WorkOptions, apps []Application) (*hostRules, error) {
	r := &hostRules{allow: o.Allow}
	for _, name := range o.Allow {
		has := func(app Application) bool { return app.Info().Name == name }
		if !slices.ContainsFunc(apps, has) {
			return nil, &UsageError{fmt.Errorf("%q can not be allowed, for there is no such application: there %s", name, applicationNames(apps))}
		}
	}
	var err error
	if o.Root != "" {
		if r.root, err = walk.OpenWithin(o.Root); err != nil {
			return nil, &UsageError{fmt.Errorf("the root directory: %w", err)}
		}
	}
	if o.RunAs != "" {
		if r.runAs, err = newAccount(ctx, o.RunAs); err != nil {
			_ = r.root.Close()
			return nil, err
		}
	}
	return r, nil
}

func applicationNames(apps []Application) string {
	var names []string
	for _, app := range apps {
		names = append(names, app.Info().Name)
	}
	slices.Sort(names)
	switch len(names) {
	case 0:
		return "are none"
	case 1:
		return "is " + names[0]
	}
	return "are " + strings.Join(names, ", ")
}

// notAllowed is why a client takes no part in a job that would change something.
type notAllowed struct{ app string }

func (e *notAllowed) Error() string {
	return fmt.Sprintf("does not allow %s: start the client with --allow %[1]s", e.app)
}

// within is the directory in which all of a job has to lie; nil: no bound.
func (r *hostRules) within() *walk.Within {
	if r == nil {
		return nil
	}
	return r.root
}

// confines is the error of a job that does not keep to the directory: by the words of its
// paths, for whatever is opened by them stays in it in any case.
func (t *task[C, S]) confines(settings C) error {
	if t.within == nil {
		return nil
	}
	paths := specRoots(t.spec)
	if t.app.Opens != nil {
		paths = append(paths, t.app.Opens(settings)...)
	}
	for _, path := range paths {
		if t.within.Check(path) != nil {
			return fmt.Errorf("%s does not lie in %s, to which --root confines the client", path, t.within.Path())
		}
	}
	return nil
}

// changesWith tells whether something may be changed with the settings.
func (a *App[C, S]) changesWith(settings C) bool {
	return a.Changes && (a.DryRun == nil || !a.DryRun(settings))
}

// mayChange tells whether the application may change something here.
func (a clientApp[C, S]) mayChange() bool {
	return a.rules == nil || slices.Contains(a.rules.allow, a.app.Name)
}

// permits is the error of settings that a session may not have: those of a job when it
// begins, and those that it gets while it runs.
func (t *task[C, S]) permits(settings C) error {
	if t.counts && t.app.changesWith(settings) {
		return &notAllowed{t.app.Name}
	}
	return t.confines(settings)
}

// actLog is where a session writes acts down. One that only counts writes down none, and
// what is not written down is not done.
func (t *task[C, S]) actLog() actLog {
	if t.counts {
		return countingActs{t.acts, &notAllowed{t.app.Name}}
	}
	return t.acts
}

// countingActs are those of a session that only counts: notes, and no act.
type countingActs struct {
	*client.Acts
	why error
}

// Sync implements actLog.
func (a countingActs) Sync(context.Context, []byte) (client.Lease, error) {
	return client.Lease{}, a.why
}
