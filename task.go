package hydra

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/post"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// jobOptions are those of a job that every session of it needs.
type jobOptions struct {
	OneFileSystem bool     `json:"one_file_system,omitempty"`
	MaxDepth      int      `json:"max_depth,omitempty"`
	Snapshots     bool     `json:"snapshots,omitempty"`
	Rules         [][]byte `json:"rules,omitempty"` // globs are bytes
	Include       []bool   `json:"include,omitempty"`
	Prefixes      [][]byte `json:"prefixes,omitempty"` // paths are bytes
}

func encodeOptions(o *Options) ([]byte, error) {
	jo := jobOptions{OneFileSystem: o.OneFileSystem, MaxDepth: o.MaxDepth, Snapshots: o.Snapshots}
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
	app     *App[C, S]
	rules   *hostRules // nil: jobs may do all
	records string     // a directory, or ""
	mounts  *knownMounts
}

func (a clientApp[C, S]) ID() wire.AppID { return wire.AppID{Name: a.app.Name, Version: a.app.Version} }

func (a clientApp[C, S]) Begin(spec *wire.Spec, where client.Where) (client.Task, error) {
	t, err := newTask(a.app, spec, where.Log.Logger(a.app.Name))
	if err != nil {
		return nil, err
	}
	t.client, t.counts = string(where.Client), !a.mayChange()
	if a.rules != nil {
		t.runAs, t.within = a.rules.runAs, a.rules.root
	}
	if err := t.permits(t.settings); err != nil {
		return nil, err
	}
	if a.records != "" {
		t.records = newRecorder(filepath.Join(a.records, spec.Job), string(where.Client), recordHead{
			Job: spec.Job, App: a.app.Name, Client: string(where.Client), Host: where.Host,
		})
	}
	if a.app.Changes {
		t.own = newOwnDirs(spec.Own, a.records)
	}
	t.mounts, err = a.mounts.of(t.options.Prefixes, a.rules.within())
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
	client   string // that works on it
	log      *slog.Logger
	settings C
	rules    *rules
	options  jobOptions
	records  *recorder    // nil: nothing is recorded
	seat     *seat        // nil: there are no messages
	mounts   *walk.Mounts // nil: there are no prefixes
	acts     *client.Acts // nil: nothing is changed
	own      *ownDirs     // nil: all may be changed
	counts   bool         // nothing may be changed
	within   *walk.Within // in which all has to lie; nil: no bound
	runAs    *Account     // as whom commands run; nil: as this process
	*emitted

	mu      sync.Mutex
	workers map[int]*taskWorker[C, S]
	epochs  [2]*counted[S] // by parity; nil: nothing was counted
	beside  *counted[S]    // by no worker, since the last Sum; nil: nothing
	updates int            // of settings, which mu guards too
	tailed  bool           // the tail has begun

	sum   *counted[S] // of the session; only Sum touches it
	codec *stats.Codec[S]
}

// counted is what was counted.
type counted[S any] struct {
	epoch  uint64
	stats  *S
	errors *errorLog
	lines  bytes.Buffer // of the list of errors
	frames [][]byte     // of the output

	snapshots snapshotLog
	acts      actSum
}

// taskWorker is one worker of a session. Only its goroutine touches it.
type taskWorker[C, S any] struct {
	*Worker[C, S]
	handler walk.Handler
	updates int // that it has taken over
	held    *S  // what was committed since the last cut; nil: nothing
	errors  *errorLog
	lines   bytes.Buffer
	emits   emits

	snapshots snapshotLog
	member    *post.Member // nil: it receives nothing
}

func newTask[C, S any](app *App[C, S], spec *wire.Spec, log *slog.Logger) (*task[C, S], error) {
	t := &task[C, S]{app: app, spec: spec, log: log, workers: map[int]*taskWorker[C, S]{}}
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
	if t.emitted, err = newEmitted(); err != nil {
		return nil, err
	}
	t.sum = t.empty()
	if t.codec, err = stats.NewCodec(t.sum.stats); err != nil {
		return nil, err
	}
	return t, nil
}

// empty is called by one goroutine at a time, that of Update or with mu held.
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
		Snapshots:     t.options.Snapshots,
		Fields:        t.app.fields(t.settings),
		Group:         t.app.Group,
		Mounts:        t.mounts,
		Within:        t.within,
	}
	if t.rules != nil {
		o.Prunes = func(outer, inner string) bool { return t.rules.prunes(outer, inner, isDir) }
	}
	return o
}

// Manner implements the client's Mannered.
func (t *task[C, S]) Manner() client.Manner {
	return client.Manner{Waits: t.app.Waits, Commit: t.app.Commit}
}

// Talk implements the client's Talker.
func (t *task[C, S]) Talk(s client.Seat) {
	if len(t.app.Topics) > 0 || t.app.Client != nil {
		t.seat = newSeat(s.Table, t.app.Topics, s.Client, s.Host, string(s.Session), s.Interject, t.log)
	}
}

// Look implements the client's Talker.
func (t *task[C, S]) Look(ctx context.Context, id int) error {
	t.mu.Lock()
	w := t.workers[id]
	t.mu.Unlock()
	if w == nil || w.member == nil {
		return nil
	}
	return fatal(w.member.Deliver(ctx))
}

// Hush implements the client's Talker.
func (t *task[C, S]) Hush() {
	if t.seat != nil {
		t.seat.close()
	}
}

// begin calls the application's hook, once for all workers.
func (t *task[C, S]) begin(ctx context.Context) error {
	return t.seat.begin(func(p *parts) error {
		if t.app.Client == nil {
			return nil
		}
		t.mu.Lock()
		settings := t.settings
		t.mu.Unlock()
		return t.app.Client(ctx, &Client[C, S]{ID: string(t.seat.id), Host: t.seat.host, Log: t.log, Settings: settings, p: p})
	})
}

// NewHandler implements the client's Task.
func (t *task[C, S]) NewHandler(ctx context.Context, id int) (walk.Handler, error) {
	var member *post.Member
	if t.seat != nil {
		if err := t.begin(ctx); err != nil {
			return nil, err
		}
	}
	t.mu.Lock()
	w := &taskWorker[C, S]{Worker: &Worker[C, S]{ID: id, Client: t.client, Log: t.log, Settings: t.settings, RunAs: t.runAs, Within: t.within, records: t.records.file(id)}, updates: t.updates}
	t.mu.Unlock()
	w.Job, w.Stats = t.spec.Job, t.app.newStats(w.Settings)
	if t.seat != nil {
		w.p, member = t.seat.worker()
	}
	if t.acts != nil {
		w.acts = newActBatch(t.actLog(), id, func(a *Act) { t.app.Acted(w.Stats, a) })
	}
	w.errors = newErrorLog(specRoots(t.spec), nil, 0, nil)
	if t.spec.AllErrors {
		w.errors = newErrorLog(specRoots(t.spec), &w.lines, 0, nil)
	}
	w.commit = func(look func(*S)) error {
		if w.held == nil {
			w.held = t.app.newStats(w.Settings)
		}
		if err := move(w.held, w.Stats); err != nil {
			return walk.Fatal(err)
		}
		if look != nil {
			look(w.held)
		}
		return nil
	}
	w.Worker.errors = w.errors
	w.emits.e = t.emitted
	w.emit = func(p []byte) error { return w.emits.emit(ctx, p) }
	if !t.app.Emits {
		w.emit = func([]byte) error { return errNoOutput }
	}
	h, err := t.app.NewHandler(ctx, w.Worker)
	if err == nil {
		err = w.acts.of(h)
	}
	if err != nil {
		return nil, err
	}
	w.handler = h
	if member != nil && member.Receives() {
		w.member = member
		h = receive(h, member, nil)
		member.Poke() // it may have nothing to do
	}
	t.mu.Lock()
	t.workers[id] = w
	t.mu.Unlock()
	return observe(h, w.errors, &w.snapshots, t.rules, w.records, w.acts, t.own), nil
}

// Update implements the client's Task.
func (t *task[C, S]) Update(settings []byte) error {
	var now C
	if err := json.Unmarshal(settings, &now); err != nil {
		return fmt.Errorf("the new settings of the job: %w", err)
	}
	if err := t.permits(now); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settings = now
	t.updates++
	return nil
}

// Between implements the client's Task.
func (t *task[C, S]) Between(id int) error {
	t.mu.Lock()
	w := t.workers[id]
	if w == nil || w.updates == t.updates {
		t.mu.Unlock()
		return nil
	}
	before, now := w.Settings, t.settings
	w.updates = t.updates
	t.mu.Unlock()
	w.Settings = now
	if h, ok := w.handler.(SettingsHandler[C]); ok {
		return h.SettingsChanged(before)
	}
	return nil
}

// Close implements the client's Task.
func (t *task[C, S]) Close() { t.records.close() }

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
		if t.acts != nil && !t.tailed {
			// Whoever has begun a batch that is there ends it before its cut.
			c.acts.Frames = t.acts.Frames()
		}
	}
	if w.held != nil {
		if err := move(c.stats, w.held); err != nil {
			return err
		}
	}
	if err := move(c.stats, w.Stats); err != nil {
		return err
	}
	c.frames = append(c.frames, w.emits.take()...)
	if !w.errors.empty() {
		if err := w.errors.close(); err != nil {
			return err
		}
		c.errors.absorb(w.errors)
		c.lines.Write(w.lines.Bytes())
		w.lines.Reset()
		w.errors.clear()
	}
	if w.acts != nil {
		c.acts.saw(id, w.acts.number)
		c.acts.Limited += w.acts.limited
		w.acts.limited = 0
	}
	if len(w.snapshots.smallest) > 0 {
		c.snapshots.absorb(&w.snapshots)
		w.snapshots.clear()
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

	Snapshots []string // that were left out
	Acts      actSum
}

// Sum implements the client's Task.
func (t *task[C, S]) Sum(epoch uint64, whole bool) (sum, lines []byte, err error) {
	t.mu.Lock()
	var c *counted[S]
	for i, e := range []*counted[S]{t.epochs[0], t.epochs[1], t.beside} {
		// Also one before, whose cut did not come to its end because the walk did.
		if e == nil || e.epoch > epoch {
			continue
		}
		if i < len(t.epochs) {
			t.epochs[i] = nil
		} else {
			t.beside = nil
		}
		if c == nil {
			c = e
			continue
		}
		if err := stats.Merge(c.stats, e.stats); err != nil {
			t.mu.Unlock()
			return nil, nil, fmt.Errorf("merge the statistics: %w", err)
		}
		c.errors.absorb(e.errors)
		c.snapshots.absorb(&e.snapshots)
		c.acts.add(&e.acts)
		c.lines.Write(e.lines.Bytes())
		c.frames = append(c.frames, e.frames...)
	}
	t.mu.Unlock()
	if c != nil {
		t.pack(c.frames)
		if err := stats.Merge(t.sum.stats, c.stats); err != nil {
			return nil, nil, fmt.Errorf("merge the statistics: %w", err)
		}
		t.sum.errors.absorb(c.errors)
		t.sum.snapshots.absorb(&c.snapshots)
		t.sum.acts.add(&c.acts)
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
	s.Snapshots, s.Acts = c.snapshots.smallest, c.acts
	if s.Stats, err = t.codec.Encode(c.stats); err != nil {
		return nil, nil, fmt.Errorf("write the statistics: %w", err)
	}
	return ledger.Encode(s), lines, nil
}
