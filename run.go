package hydra

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/post"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// ErrNoRoot is why a run fails of whose roots none could be opened.
var ErrNoRoot = errors.New("none of the paths could be opened")

// Run runs an application over the trees below roots in this process, with the
// application's settings as they are.
//
// The error says why the walk did not run to its end, or that the result is not
// whole: ctx was cancelled, the error limit was reached, the handler failed the
// run. What could not be read or handled is in the result, and no such error.
// The result is nil only if nothing was walked, as after a [UsageError].
func Run[C, S any](ctx context.Context, app *App[C, S], roots []string, o *Options) (*Result[S], error) {
	if o == nil {
		o = &Options{}
	}
	settings := app.Settings
	if app.Prepare != nil {
		if err := app.Prepare(&settings); err != nil {
			return nil, &UsageError{err}
		}
	}
	rs, err := compileRules(o.Rules)
	if err != nil {
		return nil, err
	}
	if len(roots) == 0 {
		return nil, &UsageError{errors.New("no path to walk")}
	}
	if o.FS == nil {
		if roots, err = absolute(roots); err != nil {
			return nil, err
		}
	}

	if err := checkRecords(o.Records); err != nil {
		return nil, err
	}
	if o.FS == nil && len(o.Prefixes) > 0 {
		return runInProcess(ctx, app, roots, o)
	}

	walkCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run[C, S]{
		app:      app,
		o:        o,
		settings: settings,
		rules:    rs,
		errors: newErrorLog(roots, o.Errors, o.MaxErrors, func() {
			cancel(&ErrorLimit{o.MaxErrors})
		}),
	}
	// Better now than after hours.
	r.sum = app.newStats(settings)
	if err := app.check(settings); err != nil {
		return nil, err
	}
	result := app.newResult(settings, o)
	if result.Settings, err = json.Marshal(settings); err != nil {
		return nil, fmt.Errorf("the settings of %s are not for JSON: %w", app.Name, err)
	}
	result.App, result.Clients, result.Started = app.Name, 1, time.Now()
	result.Job = jobID(result.Started)
	r.job = result.Job
	for _, root := range roots {
		result.Paths = append(result.Paths, withoutSlash(root))
	}
	if o.Records != "" {
		host, _ := os.Hostname()
		r.records = newRecorder(o.Records, result.Job, recordHead{Job: result.Job, App: app.Name, Host: host})
		defer r.records.close()
	}
	if app.Changes {
		host, _ := os.Hostname()
		if r.acts, err = newActFile(o.Acts, newActHead(result.Job, app.Name, host, roots, result.Settings), o.MaxActs, app.writesActs(settings)); err != nil {
			return nil, err
		}
	}
	if app.Changes && o.FS == nil {
		r.own = newOwnDirs(nil, o.Acts, o.Records)
	}
	parties, err := r.gather(walkCtx, result.Job)
	if err != nil {
		return nil, err
	}
	if r.outlet, err = r.openOutlet(cancel); err != nil {
		return nil, parties.finish(walkCtx, &result.Outcome, err)
	}
	err = r.walk(walkCtx, roots, &result.Outcome)
	if app.Changes {
		err = r.endActs(walkCtx, roots, result, err)
	}
	if lost := r.outlet.close(); lost != nil {
		result.State, result.Reason, err = Failed, lost.Error(), lost
	}
	err = parties.finish(walkCtx, &result.Outcome, err)
	if result.Stats, err = r.merge(ctx, result, err); err != nil {
		o.logger("hydra").Debug("run ended", "state", result.State, "err", err)
	}
	return result, err
}

// run is one run of an application in this process.
type run[C, S any] struct {
	app      *App[C, S]
	o        *Options
	job      string
	settings C
	rules    *rules
	errors   *errorLog
	records  *recorder // nil: nothing is recorded
	acts     *actFile  // nil: nothing is changed
	own      *ownDirs  // nil: all may be changed

	tailErrors int64
	outlet     *outlet // nil: nobody wants the output

	snapshots snapshotLog

	mu  sync.Mutex
	sum *S // of what workers committed; not to be used after an error

	workers []*Worker[C, S] // guarded by mu too

	walked bool // guarded by mu: the workers have ended

	seat *seat // nil: there are no messages
}

// newHandler makes the handler of one worker; several calls may run at once.
func (r *run[C, S]) newHandler(ctx context.Context, id int) (walk.Handler, error) {
	host, _ := os.Hostname()
	w := &Worker[C, S]{ID: id, Job: r.job, Client: host, Log: r.o.logger(r.app.Name), Settings: r.settings, Stats: r.app.newStats(r.settings), records: r.records.file(id)}
	if r.acts != nil {
		w.acts = newActBatch(r.acts, id, func(a *Act) { r.app.Acted(w.Stats, a) })
	}
	w.commit = func(look func(*S)) error { return r.commit(w.Stats, look) }
	w.emit, w.errors = r.emitter(), r.errors
	var member *post.Member
	if r.seat != nil {
		if err := r.begin(ctx); err != nil {
			return nil, err
		}
		w.p, member = r.seat.worker()
	}
	h, err := r.app.NewHandler(ctx, w)
	if err == nil {
		err = w.acts.of(h)
	}
	if err != nil {
		return nil, err
	}
	if member != nil && member.Receives() {
		h = receive(h, member, func(ctx context.Context) error { return r.seat.last(ctx, member) })
	}
	r.mu.Lock()
	r.workers = append(r.workers, w)
	r.mu.Unlock()
	return observe(h, r.errors, &r.snapshots, r.rules, w.records, w.acts, r.own), nil
}

// commit adds a worker's statistics to the sum and resets them.
func (r *run[C, S]) commit(s *S, look func(*S)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := stats.Merge(r.sum, s); err != nil {
		return walk.Fatal(fmt.Errorf("merge the statistics: %w", err))
	}
	if err := stats.Reset(s); err != nil {
		return walk.Fatal(err)
	}
	if look != nil {
		look(r.sum)
	}
	return nil
}

// isDir tells what a root is.
func (r *run[C, S]) isDir(root string) bool {
	if r.o.FS == nil {
		return isDir(root)
	}
	fi, err := fs.Lstat(r.o.FS, root)
	return err == nil && fi.IsDir()
}

// workers is how many there are of those that were asked for, 0 if they adapt.
func (a *App[C, S]) workers(asked int) int {
	if asked == 0 && a.Waits {
		return runtime.NumCPU()
	}
	return asked
}

func isDir(path string) bool {
	fi, err := os.Lstat(path)
	return err == nil && fi.IsDir()
}

func (a *App[C, S]) newStats(settings C) *S {
	if a.NewStats == nil {
		return new(S)
	}
	return a.NewStats(settings)
}

func (a *App[C, S]) fields(settings C) walk.Fields {
	if a.FieldsFor == nil {
		return a.Fields
	}
	return a.FieldsFor(settings)
}

// check finds out before a walk what would keep its result from being made.
func (a *App[C, S]) check(settings C) error {
	if a.NewHandler == nil {
		return fmt.Errorf("the application %s has no NewHandler", a.Name)
	}
	if err := a.checkParts(); err != nil {
		return err
	}
	if a.Changes && a.Acted == nil {
		return fmt.Errorf("the application %s changes things and has no Acted", a.Name)
	}
	s := a.newStats(settings)
	if err := stats.Merge(s, a.newStats(settings)); err != nil {
		return fmt.Errorf("the statistics of %s can not be merged: %w", a.Name, err)
	}
	if err := checkStats(s); err != nil {
		return fmt.Errorf("the statistics of %s can not be written: %w", a.Name, err)
	}
	return nil
}

// newResult makes a result that knows how to show itself.
func (a *App[C, S]) newResult(settings C, o *Options) *Result[S] {
	result := &Result[S]{Log: o.logger(a.Name), summarize: a.Summarize, found: a.Found}
	result.DryRun = a.DryRun != nil && a.DryRun(settings)
	result.report = func(w io.Writer, name string) error {
		report, err := a.report(name)
		if err != nil {
			return err
		}
		return report.Write(w, result, settings)
	}
	return result
}

// walk fills the outcome and returns why the walk did not run to its end.
func (r *run[C, S]) walk(ctx context.Context, roots []string, out *Outcome) error {
	var monitor *walk.Monitor
	if r.o.Monitor != nil {
		monitor = &r.o.Monitor.walk
	}
	var prunes func(outer, inner string) bool
	if r.rules != nil {
		prunes = func(outer, inner string) bool { return r.rules.prunes(outer, inner, r.isDir) }
	}
	var throttle *walk.Throttle
	if p := newPacer(r.o); p != nil {
		throttle = &p.throttle
		if r.o.Monitor != nil {
			r.o.Monitor.pacer.Store(p)
			defer r.o.Monitor.pacer.Store(nil)
		}
		paceCtx, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { p.run(paceCtx) })
		defer wg.Wait()
		defer stop()
	}
	t, err := walk.Trees(ctx, roots, func(id int) (walk.Handler, error) {
		return r.newHandler(ctx, id)
	}, &walk.Options{
		Workers:       r.app.workers(r.o.Workers),
		OneFileSystem: r.o.OneFileSystem,
		MaxDepth:      r.o.MaxDepth,
		Snapshots:     r.o.Snapshots,
		Prunes:        prunes,
		Fields:        r.app.fields(r.settings),
		Group:         r.app.Group,
		Throttle:      throttle,
		FS:            r.o.FS,
		Monitor:       monitor,
		Logger:        r.o.logger("walk"),
	})
	out.Finished = time.Now()
	out.Walked = t
	out.Workers = t.Workers
	out.Errors = r.errors.smallest
	out.ErrorCounts = r.errors.counts
	out.Snapshots = r.snapshots.smallest
	out.Walked.Errors += r.errors.errorsAside()
	out.State, out.Reason, err = judge(ctx, &t, err, r.errors)
	if writeErr := r.errors.close(); writeErr != nil {
		err = errors.Join(err, fmt.Errorf("the list of errors is not whole: %w", writeErr))
	}
	return err
}

// judge says how a walk ended.
func judge(ctx context.Context, t *walk.Totals, err error, errs *errorLog) (State, string, error) {
	if expected := t.FoundDirs - t.QueuedDirs; t.ExpectedDirs() != expected {
		err := fmt.Errorf("internal error: %d directories were found and left the queue, but what became of %d is known", expected, t.ExpectedDirs())
		return Failed, err.Error(), err
	}
	cancelled := ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)))
	limit := &ErrorLimit{errs.limit}
	switch {
	case err != nil && !cancelled:
		return Failed, err.Error(), err
	case err != nil && !errors.As(err, &limit):
		return Interrupted, err.Error(), err
	case errs.limit > 0 && errs.total >= errs.limit:
		// Also if the walk was so near to its end that it got there: whether it
		// did is a matter of luck.
		return Stopped, limit.Error(), limit
	case errs.noRoot():
		return Failed, ErrNoRoot.Error(), ErrNoRoot
	case t.Stopped:
		return Stopped, "the application ended the walk", nil
	}
	return Complete, "", nil
}

// finishTime is how long the application may take to finish a run that was
// cancelled.
const finishTime = 5 * time.Second

// endActs does what comes after the walk, and closes the file.
func (r *run[C, S]) endActs(ctx context.Context, roots []string, result *Result[S], err error) error {
	if r.app.Tail != nil && err == nil && result.State == Complete {
		if tailErr := r.tail(ctx, roots); tailErr != nil && ctx.Err() != nil {
			result.State, result.Reason, err = Interrupted, context.Cause(ctx).Error(), context.Cause(ctx)
		} else if tailErr != nil {
			err = result.fail(err, tailErr)
		}
		result.Finished = time.Now()
		result.Errors, result.ErrorCounts = r.errors.smallest, r.errors.counts
		result.Walked.Errors += r.tailErrors
	}
	if r.acts.isSpent() && err == nil {
		limit := &ActLimitError{r.o.MaxActs}
		result.State, result.Reason, err = Stopped, limit.Error(), limit
	}
	path, closeErr := r.acts.close()
	result.Acts = path
	if closeErr != nil {
		err = result.fail(err, closeErr)
	}
	return err
}

// merge merges the statistics of all workers and lets the application finish
// them. It returns err, or why this failed.
func (r *run[C, S]) merge(ctx context.Context, result *Result[S], err error) (*S, error) {
	result.Stats = r.sum
	slices.SortFunc(r.workers, func(a, b *Worker[C, S]) int { return cmp.Compare(a.ID, b.ID) })
	for _, w := range r.workers {
		if mergeErr := stats.Merge(result.Stats, w.Stats); mergeErr != nil {
			return result.Stats, result.fail(err, fmt.Errorf("merge the statistics: %w", mergeErr))
		}
	}
	if r.app.Finish != nil {
		if ctx.Err() != nil {
			// What was counted is worth finishing also when the run was cancelled,
			// but whoever did that waits.
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), finishTime)
			defer cancel()
		}
		if finishErr := r.app.Finish(ctx, result); finishErr != nil {
			return result.Stats, result.fail(err, finishErr)
		}
	}
	return result.Stats, err
}

// fail makes the run a failed one, after the walk may have had an error.
func (o *Outcome) fail(err, why error) error {
	o.State, o.Reason = Failed, why.Error()
	return errors.Join(err, why)
}

// jobID names a run: unique, and sorted by time.
func jobID(t time.Time) string {
	return "local-" + t.UTC().Format("20060102T150405") + "-" + strings.ToLower(rand.Text()[:6])
}

func withoutSlash(root string) string {
	if i := lastSeparator(root); i > 0 && i == len(root)-1 && !isVolume(root) {
		return root[:i]
	}
	return root
}
