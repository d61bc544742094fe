package hydra

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// jobOptions are those of a job that every session of it needs.
type jobOptions struct {
	OneFileSystem bool     `json:"one_file_system,omitempty"`
	MaxDepth      int      `json:"max_depth,omitempty"`
	Rules         [][]byte `json:"rules,omitempty"` // globs are bytes
	Include       []bool   `json:"include,omitempty"`
	Prefixes      [][]byte `json:"prefixes,omitempty"` // paths are bytes
}

func encodeOptions(o *Options) ([]byte, error) {
	jo := jobOptions{OneFileSystem: o.OneFileSystem, MaxDepth: o.MaxDepth}
	for _, r := range o.Rules {
		jo.Rules = append(jo.Rules, []byte(r.Glob))
		jo.Include = append(jo.Include, r.Include)
	}
	for _, p := range o.Prefixes {
		jo.Prefixes = append(jo.Prefixes, []byte(p))
	}
	return json.Marshal(jo)
}

func (jo *jobOptions) rules() ([]Rule, error) {
	if len(jo.Rules) != len(jo.Include) {
		return nil, fmt.Errorf("the job has %d rules and says of %d what they do", len(jo.Rules), len(jo.Include))
	}
	var rs []Rule
	for i, glob := range jo.Rules {
		rs = append(rs, Rule{Glob: string(glob), Include: jo.Include[i]})
	}
	return rs, nil
}

// clientApp lets clients use an App: its methods are not for everybody.
type clientApp[C, S any] struct {
	app    *App[C, S]
	log    *slog.Logger
	mounts *knownMounts
}

func (a clientApp[C, S]) ID() wire.AppID { return wire.AppID{Name: a.app.Name, Version: a.app.Version} }

func (a clientApp[C, S]) Begin(spec *wire.Spec) (client.Task, error) {
	t, err := newTask(a.app, spec, a.log)
	if err == nil {
		t.mounts, err = a.mounts.of(t.options.Prefixes)
	}
	return t, err
}

// task is what an application does in one session of a job.
//
//	worker's Stats ─ Commit, Cut ─► of an epoch ─ Sum ─► of the session
//
// Two epochs can be open: while some workers count for the next one already,
// others have not made their cut.
type task[C, S any] struct {
	app      *App[C, S]
	spec     *wire.Spec
	log      *slog.Logger
	settings C
	rules    *rules
	options  jobOptions
	mounts   *walk.Mounts // nil: there are no prefixes

	mu      sync.Mutex
	workers map[int]*taskWorker[C, S]
	epochs  [2]*counted[S] // by parity; nil: nothing was counted

	sum   *counted[S] // of the session; only Sum touches it
	codec *stats.Codec[S]
}

// counted is what was counted.
type counted[S any] struct {
	epoch  uint64
	stats  *S
	errors *errorLog
	lines  bytes.Buffer // of the list of errors
}

// taskWorker is one worker of a session. Only its goroutine touches it.
type taskWorker[C, S any] struct {
	*Worker[C, S]
	held   *S // what was committed since the last cut; nil: nothing
	errors *errorLog
	lines  bytes.Buffer
}

func newTask[C, S any](app *App[C, S], spec *wire.Spec, log *slog.Logger) (*task[C, S], error) {
	t := &task[C, S]{app: app, spec: spec, log: (&Options{Logger: log}).logger(app.Name), workers: map[int]*taskWorker[C, S]{}}
	if err := json.Unmarshal(spec.Settings, &t.settings); err != nil {
		return nil, fmt.Errorf("the settings of the job: %w", err)
	}
	if err := json.Unmarshal(spec.Options, &t.options); err != nil {
		return nil, fmt.Errorf("the options of the job: %w", err)
	}
	list, err := t.options.rules()
	if err != nil {
		return nil, err
	}
	if t.rules, err = compileRules(list); err != nil {
		return nil, err
	}
	t.sum = t.empty()
	if t.codec, err = stats.NewCodec(t.sum.stats); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *task[C, S]) empty() *counted[S] {
	c := &counted[S]{stats: t.app.newStats(t.settings)}
	c.errors = newErrorLog(specRoots(t.spec), nil, 0, nil)
	return c
}

func specRoots(spec *wire.Spec) []string {
	var roots []string
	for _, r := range spec.Roots {
		roots = append(roots, string(r))
	}
	return roots
}

// Options implements the client's Task.
func (t *task[C, S]) Options() walk.Options {
	o := walk.Options{
		OneFileSystem: t.options.OneFileSystem,
		MaxDepth:      t.options.MaxDepth,
		Fields:        t.app.Fields,
		Mounts:        t.mounts,
	}
	if t.rules != nil {
		o.Prunes = func(outer, inner string) bool { return t.rules.prunes(outer, inner, isDir) }
	}
	return o
}

// NewHandler implements the client's Task.
func (t *task[C, S]) NewHandler(ctx context.Context, id int) (walk.Handler, error) {
	w := &taskWorker[C, S]{Worker: &Worker[C, S]{
		ID: id, Log: t.log, Settings: t.settings, Stats: t.app.newStats(t.settings),
	}}
	w.errors = newErrorLog(specRoots(t.spec), nil, 0, nil)
	if t.spec.AllErrors {
		w.errors = newErrorLog(specRoots(t.spec), &w.lines, 0, nil)
	}
	w.commit = func(look func(*S)) error {
		if w.held == nil {
			w.held = t.app.newStats(t.settings)
		}
		if err := move(w.held, w.Stats); err != nil {
			return walk.Fatal(err)
		}
		if look != nil {
			look(w.held)
		}
		return nil
	}
	h, err := t.app.NewHandler(ctx, w.Worker)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.workers[id] = w
	t.mu.Unlock()
	return observe(h, w.errors, t.rules), nil
}

// move adds statistics to others and resets them.
func move[S any](into, from *S) error {
	if err := stats.Merge(into, from); err != nil {
		return fmt.Errorf("merge the statistics: %w", err)
	}
	return stats.Reset(from)
}

// Cut implements the client's Task.
func (t *task[C, S]) Cut(id int, epoch uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.workers[id]
	if w == nil {
		return nil // its handler could not be made
	}
	c := t.epochs[epoch%2]
	if c == nil {
		c = t.empty()
		c.epoch = epoch
		t.epochs[epoch%2] = c
	}
	if w.held != nil {
		if err := move(c.stats, w.held); err != nil {
			return err
		}
	}
	if err := move(c.stats, w.Stats); err != nil {
		return err
	}
	if w.errors.total > 0 {
		if err := w.errors.close(); err != nil {
			return err
		}
		c.errors.absorb(w.errors)
		c.lines.Write(w.lines.Bytes())
		w.lines.Reset()
		w.errors.clear()
	}
	return nil
}

// sumOf is how what a session counted is written.
type sumOf struct {
	Stats    []byte // by stats.Codec
	Errors   []ErrorItem
	Counts   map[string]int64
	Total    int64
	BadRoots []string // could not be opened
}

// Sum implements the client's Task.
func (t *task[C, S]) Sum(epoch uint64, whole bool) (sum, lines []byte, err error) {
	t.mu.Lock()
	var c *counted[S]
	for i, e := range t.epochs {
		// Also one before, whose cut did not come to its end because the walk did.
		if e == nil || e.epoch > epoch {
			continue
		}
		t.epochs[i] = nil
		if c == nil {
			c = e
			continue
		}
		if err := stats.Merge(c.stats, e.stats); err != nil {
			t.mu.Unlock()
			return nil, nil, fmt.Errorf("merge the statistics: %w", err)
		}
		c.errors.absorb(e.errors)
		c.lines.Write(e.lines.Bytes())
	}
	t.mu.Unlock()
	if c != nil {
		if err := stats.Merge(t.sum.stats, c.stats); err != nil {
			return nil, nil, fmt.Errorf("merge the statistics: %w", err)
		}
		t.sum.errors.absorb(c.errors)
		lines = c.lines.Bytes()
	}
	switch {
	case whole:
		c = t.sum
	case c == nil:
		return nil, nil, nil
	default:
		if err := stats.Prune(c.stats, t.sum.stats); err != nil {
			return nil, nil, fmt.Errorf("prune the statistics: %w", err)
		}
	}
	s := c.errors.sum()
	if s.Stats, err = t.codec.Encode(c.stats); err != nil {
		return nil, nil, fmt.Errorf("write the statistics: %w", err)
	}
	return ledger.Encode(s), lines, nil
}

// collect makes the result of a job of what its sessions counted. sums gets what
// belongs to a record, in parts.
func (a *App[C, S]) collect(ctx context.Context, spec *wire.Spec, l *ledger.Job, o *Options, sums func(*ledger.Record) ([][]byte, error)) (*Result[S], error) {
	settings := a.Settings // with what only this command knows: how reports are written
	if err := json.Unmarshal(spec.Settings, &settings); err != nil {
		return nil, err
	}
	result := a.newResult(settings, o)
	result.Settings = json.RawMessage(spec.Settings)
	result.Job, result.App = spec.Job, a.Name
	for _, root := range specRoots(spec) {
		result.Paths = append(result.Paths, withoutSlash(root))
	}
	result.Stats = a.newStats(settings)
	codec, err := stats.NewCodec(result.Stats)
	if err != nil {
		return nil, err
	}
	errs := newErrorLog(specRoots(spec), nil, spec.MaxErrors, func() {})
	clients := map[ledger.ClientID]int{} // with the most workers
	t := &result.Walked
	for _, r := range l.Records() {
		t.Add(&r.Totals)
		result.addPrefixes(r)
		if r.Totals.Entries() > 0 {
			clients[r.Client] = max(clients[r.Client], r.Totals.Workers)
		}
		parts, err := sums(r)
		if err != nil {
			return nil, err
		}
		for _, data := range parts {
			var s sumOf
			if err := ledger.Decode(data, &s); err != nil {
				return nil, fmt.Errorf("what session %s counted: %w", r.Session, err)
			}
			part := a.newStats(settings)
			if err := codec.Decode(s.Stats, part); err != nil {
				return nil, fmt.Errorf("the statistics of session %s: %w", r.Session, err)
			}
			if err := stats.Merge(result.Stats, part); err != nil {
				return nil, fmt.Errorf("merge the statistics: %w", err)
			}
			errs.take(&s)
		}
	}
	for _, n := range clients {
		t.Workers += n
	}
	result.Clients, result.Workers = max(1, len(clients)), t.Workers
	t.QueuedDirs, t.QueuedFiles = l.Remains(len(spec.Roots))
	if l.Unbegun() {
		t.FoundDirs += t.QueuedDirs // the roots: nobody has counted them yet
	}
	t.Stopped = l.Verdict.State == string(Stopped)
	result.Errors, result.ErrorCounts = errs.smallest, errs.counts
	result.Started, result.Finished = l.Started, l.Finished
	if result.Started.IsZero() {
		result.Started = spec.Submitted
	}
	if result.Finished.IsZero() {
		result.Finished = time.Now()
	}
	for _, id := range slices.Sorted(maps.Keys(l.Refused)) {
		result.Refused = append(result.Refused, l.Refused[id])
	}

	result.State, result.Reason, err = judgeJob(l, t, errs, spec)
	if a.Finish != nil && result.State != Failed {
		if finishErr := a.Finish(ctx, result); finishErr != nil {
			err = result.fail(err, finishErr)
		}
	}
	return result, err
}

// judgeJob says how a job ended.
func judgeJob(l *ledger.Job, t *walk.Totals, errs *errorLog, spec *wire.Spec) (State, string, error) {
	if expected := t.FoundDirs - t.QueuedDirs; t.ExpectedDirs() != expected && l.Verdict.State != string(Failed) {
		err := fmt.Errorf("internal error: %d directories were found and left the queue, but what became of %d is known", expected, t.ExpectedDirs())
		return Failed, err.Error(), err
	}
	if errs.noRoot() {
		return Failed, ErrNoRoot.Error(), ErrNoRoot
	}
	reason := l.Verdict.Reason
	switch State(l.Verdict.State) {
	case Failed:
		return Failed, reason, fmt.Errorf("job %s failed: %s", spec.Job, reason)
	case Cancelled:
		return Cancelled, reason, &CancelledError{spec.Job}
	}
	if limit := (&ErrorLimit{spec.MaxErrors}); spec.MaxErrors > 0 && errs.total-l.Forgiven >= spec.MaxErrors {
		return Stopped, limit.Error(), limit
	}
	return State(l.Verdict.State), reason, nil
}
