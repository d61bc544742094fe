// Package hydra runs one application over a tree, on this machine or on many.
//
// An [App] says what is done with each entry and what is counted. [Run] walks
// trees with it: every worker has a handler and statistics of its own, so
// neither needs locks, and at the end the statistics are merged. The [Result]
// holds them, and says whether anything was missed.
//
// Package cli makes a command of an App.
package hydra

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/pflag"
)

// App is an application: what to do with a tree. C is its settings, any struct
// that JSON can hold. S is its statistics, a struct that package stats can
// merge; in the result document its fields stand beside the base counters.
//
// Only Name and NewHandler are needed.
type App[C, S any] struct {
	Name    string // as it is typed: lower case, no blanks
	Version string

	Short   string // one line for the list of commands
	Long    string // what it does and when to use it
	Example string // command lines, indented by two blanks

	// Settings are those that apply where a user says nothing.
	Settings C
	// Flags defines command line flags that change settings.
	Flags func(*pflag.FlagSet, *C)
	// Command takes what a user typed behind --, if the application runs commands: nil
	// if it takes none. It is called before Prepare; its error is a usage error.
	Command func(*C, []string) error
	// Prepare checks the settings and completes them. Its error is a usage error. It is
	// called again for settings that it has completed, and leaves these as they are.
	Prepare func(*C) error
	// Change tells whether settings may be changed so while a job runs (see
	// [Server.Set], and [SettingsHandler] for handlers that keep some of them), after
	// Prepare has checked the new ones: what was counted by both has to fit together
	// in one result. nil allows what Prepare does.
	Change func(before, after C) error

	// Warn tells what a user should know before the paths, which are absolute, are walked
	// with the settings. It is called where the command is, before Confirm.
	Warn func(settings C, paths []string) []string
	// Confirm tells what a user is asked before the paths, which are absolute, are
	// walked with the settings, as Prepare has completed them: "" if nothing. It is
	// called where the command is; its error is a usage error, and nothing is walked.
	// A job that goes on is not asked about again.
	Confirm func(settings C, paths []string) (question string, err error)

	// Opens tells which paths of the settings handlers open on a client: one that is confined
	// (see [WorkOptions.Root]) takes no part if they lie elsewhere. nil: none.
	Opens func(settings C) []string

	// Fields are those that Entry.Stat has to fill; 0 means all. On network file
	// systems less can be faster.
	Fields walk.Fields
	// FieldsFor, when set, replaces Fields by those that the settings ask for.
	FieldsFor func(C) walk.Fields

	// Waits says that handlers wait for something else than the file system, by
	// [walk.Entry.Await]. The number of workers does not adapt then: if no user says
	// one, there are as many as processors.
	Waits bool
	// Commit is how often a job writes down what was counted, so that no more is lost
	// if a client dies; 0 is every few seconds.
	Commit time.Duration
	// Group lets names of one directory come together in one call of Filter, also of a
	// directory that several clients share: see [walk.Options.Group]. nil: none have to.
	Group func(buf, name []byte) []byte

	// NewStats makes empty statistics. nil means new(S).
	NewStats func(C) *S
	// NewHandler makes the handler of one worker. It is called on the worker's
	// goroutine, so several calls may run at once. Beside walk.Handler the
	// handler may implement the other interfaces of package walk.
	NewHandler func(context.Context, *Worker[C, S]) (walk.Handler, error)

	// Topics are the kinds of messages that the parties of a run send each other: see
	// [Topic].
	Topics []TopicInfo
	// Server is called first on each server that coordinates the job, after a restart
	// too: it lets the coordinator receive messages. At most one server at a time does
	// this, and calls Start, Joined and Phases: all on one goroutine, with a context
	// that ends with the job. An error fails the job. All of them run in the process
	// of the server, which has to have the application; in a run in this process,
	// there.
	Server func(context.Context, *Coordinator[C, S]) error
	// Start is called before the walk: at least once, again only if the server died
	// before it was written down that it had returned.
	Start func(context.Context, *Coordinator[C, S]) error
	// Joined is called for each client that takes part, at least once.
	Joined func(context.Context, *Coordinator[C, S], ClientInfo) error
	// Phases run one after the other when nothing of the walk remains and all messages
	// to the server were taken in: each at least once. The clients are still there, and
	// so are those that come meanwhile. They are left out if the walk did not run to
	// its end; a job that is cancelled in a phase goes on with it when it is resumed.
	Phases []Phase[C, S]
	// Client is called once when a session of a job begins on a client, before the
	// handlers are made. An error fails the run.
	Client func(context.Context, *Client[C, S]) error

	// Changes says that the application changes what it finds: clients run it only if they
	// allow it (see [WorkOptions.Allow]), or for a DryRun. Its handlers are Actors, and plan
	// what they change: see [Worker.Plan]. Acted counts what came of an act,
	// also of one whose client died: it gets the statistics of whoever found out.
	Changes bool
	Acted   func(*S, *Act)
	// Tail is what comes when nothing of the walk remains, once and by one client, if
	// the application changes anything: for what has to wait for all else, as to remove
	// directories that became empty. If that client dies another one does it again.
	Tail func(context.Context, *Tail[C, S]) error

	// MaxActs tells how much may be changed with the settings: see [Options.MaxActs]. It
	// is called before the run, with nil. If that depends on what is there, it returns
	// the settings of a run that changes nothing, and is called again with its result. If
	// it returns settings then too, nothing may be changed, and that run was all.
	// Its error, then too, is why nothing may be changed.
	MaxActs func(settings C, counted *Result[S]) (n int64, count *C, err error)
	// DryRun tells whether with the settings nothing is changed, but only counted what
	// would be: the result says so. Clients ask it whether they may run the job.
	DryRun func(settings C) bool

	// Finish is called once, when the statistics of all workers have been
	// merged into r.Stats: for what is computed from them. Unlike a phase it runs where
	// the result is shown, each time that somebody looks at the result of a job, and
	// there are no clients. Its context ends if
	// somebody cancels the run meanwhile; of a run that was cancelled before, soon.
	Finish func(ctx context.Context, r *Result[S]) error
	// Summarize writes the statistics for people, at most 80 columns wide. What
	// went wrong is not its business: the command line adds that for every
	// application.
	Summarize func(w io.Writer, r *Result[S]) error
	// Reports are the kinds of report files that the application can write,
	// besides the result document itself.
	Reports []Report[C, S]
	// Emits says that the application has an output: see [Worker.Emit].
	Emits bool
	// Output wraps where the output goes, in the process that asked for it: a header, a
	// sort, another format. settings are those of the job. Each Write is of whole calls of
	// Emit, and comes after the one before. Close ends the output, but does not close w. nil
	// leaves it as it was emitted.
	Output func(settings C, w io.Writer) (io.WriteCloser, error)
	// Found tells how many problems were found, if to find such is what the application is
	// for: a command that found some says so by its exit code.
	Found func(*S) int64
	// CheckReports tells before the walk why files of these names can not be
	// written with the settings, which Prepare has completed: also names that end like no
	// report, if there is more to say of them. It may be nil.
	CheckReports func(names []string, settings C) error
}

// Report is a kind of file that shows a result.
type Report[C, S any] struct {
	Ends string // of the file's name, as ".html"
	What string // it is, for people: "one page, for a browser"
	// Write writes the file.
	Write func(w io.Writer, r *Result[S], settings C) error
}

// Worker is what one handler has of its own. No other goroutine touches it
// while the walk runs.
type Worker[C, S any] struct {
	ID       int    // from 0
	Job      string // names the run
	Client   string // of a job, who works on it; of a run in this process the host's name
	Log      *slog.Logger
	Settings C // what holds now; it changes only between two calls, see SettingsHandler
	Stats    *S
	// RunAs is as whom commands have to run that the handler starts; nil: as who runs this
	// process.
	RunAs *Account
	// Within is what has to open whatever the handler opens by its path; nil: no bound. Its
	// methods may be called in any case.
	Within *walk.Within

	commit  func(func(*S)) error
	acts    *actBatch
	emit    func([]byte) error
	errors  *errorLog
	p       *parts
	records *recordFile // nil: nothing is recorded
}

// Record writes v down for people, as a line of JSON in a file of this worker's
// own: with the time, the job and who did it. Where a path is in v, let
// [stats.PathOf] make it, which loses nothing. Without a directory for records
// this does nothing.
//
// Lines are buffered, and written before what was counted is committed. They tell
// what this worker did, also what was done again by others when its client died:
// what has to be right belongs into the statistics. An error says that this or
// earlier records are lost; it need not be returned to the walk, for the result
// says so as well. Only the worker's own handler may call it.
func (w *Worker[C, S]) Record(v any) error {
	if w.records == nil {
		return nil
	}
	return w.records.add(v)
}

// SyncRecords returns when all that was recorded is on the disk.
func (w *Worker[C, S]) SyncRecords() error {
	if w.records == nil {
		return nil
	}
	return w.records.sync()
}

// Undecided notes an error about an entry that the handler looks at in Filter, which can
// return none: whether it is meant could not be told. The walk goes on, and the result is
// not complete. Only the worker's own handler may call it.
func (w *Worker[C, S]) Undecided(path string, err error) {
	if w.errors != nil {
		w.errors.aside(&ErrorItem{Op: OpSelect, Path: path, Error: errorText(causeOf(err)), Count: 1})
	}
}

// Commit adds what was counted so far to the result and resets Stats, which stays
// the same pointer: it bounds what a worker holds of statistics that grow. Only
// the worker's own handler may call it, and has to forget what it keeps of Stats
// besides that pointer. An error is to be returned to the walk.
//
// look, if it is not nil, is shown all that was committed so far. It must not
// change or keep it, and is not to take long: other workers may wait.
func (w *Worker[C, S]) Commit(look func(*S)) error {
	if w.commit == nil {
		return nil // a worker of a test, that is in no run
	}
	return w.commit(look)
}

// Application is an [App] whose types do not matter any more. App implements
// it; nothing else needs to.
type Application interface {
	// Info describes the application.
	Info() Info
	// Configure makes a copy of the default settings, defines the flags that
	// change it, and returns what runs with it once they were parsed.
	Configure(*pflag.FlagSet) Runner
}

// Info describes an application.
type Info struct {
	Name, Version, Short, Long, Example string
	Reports                             []ReportInfo
	Topics                              []TopicInfo
	Changes                             bool // what it changes is written down
	Confirms                            bool // it may ask before it does something
	Command                             bool // it takes one: see App.Command
	Emits                               bool // it has an output
	Summarizes                          bool // it has something of its own to say to people
}

// ReportInfo describes a kind of report: see [Report].
type ReportInfo struct{ Ends, What string }

// Runner runs an application with its settings: [Run] without the types.
type Runner interface {
	Run(ctx context.Context, roots []string, o *Options) (Document, error)
	// Submit makes a job of a server of it: see [Server.Submit].
	Submit(ctx context.Context, s *Server, roots []string, o *JobOptions) (*Job, error)
	// RunJob runs it in this process as a job that is kept, named by o.ID: it
	// survives the process, and goes on with ResumeJob. The error is that of Run,
	// [ErrJobExists], or [RunningError].
	RunJob(ctx context.Context, roots []string, o *JobOptions) (Document, error)
	// ResumeJob lets a job of RunJob go on, with the paths, settings and options that
	// it began with. If it has ended, its result is returned again.
	ResumeJob(ctx context.Context, name string, o *JobOptions) (Document, error)
	// Job finds a job that was submitted before: see [Server.Job].
	Job(ctx context.Context, s *Server, id string, o *JobOptions) (*Job, error)
	// Settings are those that a job would keep, as JSON.
	Settings() ([]byte, error)
	// Confirm tells what to ask the user before the paths are walked, "" if nothing, and
	// what to tell in any case. An error is one of a wrong call.
	Confirm(paths []string) (question string, warnings []string, err error)
	// MaxActs tells how much may be changed: see [Options.MaxActs]. If it returns a
	// first run, which changes nothing, it is to be called again with the result of
	// that; before, counted is nil. If it returns one then too, nothing may be changed.
	MaxActs(counted Document) (n int64, first Runner, err error)
	// Command sets the command that an application runs: see [App.Command].
	Command(argv []string) error
	// CheckReports tells before the walk what a [Document] could not write: an
	// unknown kind of report, or one that does not fit the settings.
	CheckReports(names []string) error
}

// Info implements [Application].
func (a *App[C, S]) Info() Info {
	info := Info{
		Name: a.Name, Version: a.Version, Short: a.Short, Long: a.Long, Example: a.Example, Topics: a.Topics,
		Emits: a.Emits, Changes: a.Changes && a.Command == nil, Summarizes: a.Summarize != nil, Confirms: a.Confirm != nil, Command: a.Command != nil,
	}
	for _, r := range a.Reports {
		info.Reports = append(info.Reports, ReportInfo{r.Ends, r.What})
	}
	return info
}

// Configure implements [Application].
func (a *App[C, S]) Configure(flags *pflag.FlagSet) Runner {
	configured := *a
	if a.Flags != nil {
		a.Flags(flags, &configured.Settings)
	}
	return &runner[C, S]{&configured}
}

type runner[C, S any] struct{ app *App[C, S] }

func (r *runner[C, S]) Run(ctx context.Context, roots []string, o *Options) (Document, error) {
	result, err := Run(ctx, r.app, roots, o)
	if result == nil {
		return nil, err // not a Document that holds a nil pointer
	}
	return result, err
}

func (r *runner[C, S]) Submit(ctx context.Context, s *Server, roots []string, o *JobOptions) (*Job, error) {
	return s.Submit(ctx, r.app, roots, o)
}

func (r *runner[C, S]) RunJob(ctx context.Context, roots []string, o *JobOptions) (Document, error) {
	return runJob(ctx, r.app, roots, o)
}

func (r *runner[C, S]) ResumeJob(ctx context.Context, name string, o *JobOptions) (Document, error) {
	return resumeJob(ctx, r.app, name, o)
}

func (r *runner[C, S]) Job(ctx context.Context, s *Server, id string, o *JobOptions) (*Job, error) {
	return s.Job(ctx, r.app, id, o)
}

func (r *runner[C, S]) Command(argv []string) error {
	if r.app.Command == nil {
		return fmt.Errorf("%s runs no command", r.app.Name)
	}
	return r.app.Command(&r.app.Settings, argv)
}

// prepare completes the settings and keeps them: what was asked about, counted and
// walked goes by the same, as a time that is now.
func (r *runner[C, S]) prepare() error {
	if r.app.Prepare == nil {
		return nil
	}
	return r.app.Prepare(&r.app.Settings)
}

func (r *runner[C, S]) Settings() ([]byte, error) { return json.Marshal(r.app.Settings) }

func (r *runner[C, S]) Confirm(paths []string) (question string, warnings []string, err error) {
	if r.app.Confirm == nil && r.app.Warn == nil {
		return "", nil, nil
	}
	if err := r.prepare(); err != nil {
		return "", nil, err
	}
	if paths, err = absolute(paths); err != nil {
		return "", nil, err
	}
	if r.app.Warn != nil {
		warnings = r.app.Warn(r.app.Settings, paths)
	}
	if r.app.Confirm != nil {
		question, err = r.app.Confirm(r.app.Settings, paths)
	}
	return question, warnings, err
}

// writesActs tells whether what is done with the settings has to be written down.
func (a *App[C, S]) writesActs(settings C) bool {
	return a.Changes && a.Command == nil && (a.DryRun == nil || !a.DryRun(settings))
}

func (r *runner[C, S]) MaxActs(counted Document) (int64, Runner, error) {
	if r.app.MaxActs == nil {
		return 0, nil, nil
	}
	if err := r.prepare(); err != nil {
		return 0, nil, &UsageError{err}
	}
	result, ok := counted.(*Result[S])
	if counted != nil && !ok {
		return 0, nil, fmt.Errorf("a result of another application than %s", r.app.Name)
	}
	n, count, err := r.app.MaxActs(r.app.Settings, result)
	switch {
	case err != nil && result == nil:
		return 0, nil, &UsageError{err}
	case err != nil:
		return 0, nil, &RefusedError{err}
	case count == nil:
		return n, nil, nil
	}
	first := *r.app
	first.Settings = *count
	return n, &runner[C, S]{&first}, nil
}

func (r *runner[C, S]) CheckReports(names []string) error {
	if r.app.CheckReports != nil {
		// It may say more of a kind that there is not.
		if err := r.prepare(); err != nil {
			return err
		}
		if err := r.app.CheckReports(names, r.app.Settings); err != nil {
			return err
		}
	}
	for _, name := range names {
		if _, err := r.app.report(name); err != nil {
			return err
		}
	}
	return nil
}

// report is the kind of report that a file's name asks for.
func (a *App[C, S]) report(name string) (*Report[C, S], error) {
	var ends []string
	for i := range a.Reports {
		if strings.HasSuffix(strings.ToLower(name), a.Reports[i].Ends) {
			return &a.Reports[i], nil
		}
		ends = append(ends, a.Reports[i].Ends)
	}
	const has = "%q: the name of a report has to end with "
	switch {
	case len(ends) > 0:
		return nil, fmt.Errorf(has+"one of %s, .txt", name, strings.Join(ends, ", "))
	case a.Emits:
		return nil, fmt.Errorf(has+".txt; -o FILE is where what %s puts out goes", name, a.Name)
	}
	return nil, fmt.Errorf(has+".txt", name)
}
