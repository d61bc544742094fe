package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/spf13/pflag"
)

// cluster are the flags that make a job of a server out of a run.
type cluster struct {
	server       string // "": the run is on this machine
	local        bool
	priority     int
	minClients   int
	stall        time.Duration
	cancelOnExit bool
	access
	job    string // "": on this machine, nothing is kept
	resume string
}

// mostPriority is the highest that a job can have.
const mostPriority = 1000

func (c *cluster) define(f *pflag.FlagSet) {
	f.StringVar(&c.server, "server", "", "let the clients of the server at `ADDRESS` do it: HOST, HOST:PORT, or the nats:// URL of its engine")
	f.BoolVar(&c.local, "local", false, "do it on this machine, though a server is configured")
	f.StringVar(&c.job, "job", "", "keep what is done, under `NAME`: should it be interrupted or killed, --resume NAME goes on. It stays until job remove --local NAME. With --server, name the job so")
	f.StringVar(&c.resume, "resume", "", "go on with the job `NAME` of this machine, or of --server, with the paths and settings it began with; if it has ended, print its result again")
	f.IntVar(&c.priority, "priority", 10, "share of the clients' workers, in proportion to that of other jobs: `N` from 1 to 1000")
	f.IntVar(&c.minClients, "min-clients", 0, "begin when `N` clients are there")
	f.DurationVar(&c.stall, "stall", time.Minute, "give a directory to another client, or leave out a mount of --prefix-file, when one system call takes longer than `TIME`")
	f.BoolVar(&c.cancelOnExit, "cancel-on-exit", false, "a signal cancels the job and prints what was counted; without this the job goes on")
	c.access.define(f)
}

// defineServer defines the flags of commands that only talk to a server.
func (c *cluster) defineServer(f *pflag.FlagSet) {
	f.StringVar(&c.server, "server", "", "`ADDRESS` of the server: HOST, HOST:PORT, or the nats:// URL of its engine; without this "+hydra.DefaultAddress)
	f.BoolVar(&c.local, "local", false, "jobs of this machine, that began with --job NAME")
	c.access.define(f)
}

// check tells what values can not be meant; they may be those of commands that do
// not have all flags.
func (c *cluster) check() error {
	switch {
	case c.priority < 0 || c.priority > mostPriority:
		return fmt.Errorf("--priority is from 1 to %d", mostPriority)
	case c.minClients < 0:
		return errors.New("--min-clients can not be negative")
	case c.stall < 0:
		return errors.New("--stall can not be negative")
	}
	return nil
}

var errNoStall = errors.New("--stall has to be longer than nothing")

// place decides where an application runs, and tells what flags do not go with
// that.
func (c *common) place(from origins, program string) error {
	given := func(flag string) bool { return from[flag] == originFlag }
	if c.local {
		if given("server") {
			return errors.New("--local and --server contradict each other")
		}
		c.server = ""
	}
	if c.server == "" {
		if given("server") {
			return errors.New("--server is empty: name one, or say --local")
		}
		for _, flag := range append([]string{"priority", "min-clients", "stall", "cancel-on-exit"}, accessFlags...) {
			if given(flag) && !(flag == "stall" && len(c.prefixFiles) > 0) {
				return fmt.Errorf("--%s is for a job of a server: give --server too", flag)
			}
		}
		if c.stall == 0 && len(c.prefixFiles) > 0 {
			return errNoStall
		}
		return nil
	}
	switch {
	case given("workers"):
		return &hintError{errors.New("--workers belongs to the clients, each of which has its own"), fmt.Sprintf("%s client %s -j %d", program, shellWord(c.server), c.workers)}
	case given("records"):
		return &hintError{errors.New("--records belongs to the clients, each of which has files of its own"), fmt.Sprintf("%s client %s --records %s", program, shellWord(c.server), shellWord(c.records))}
	case c.priority == 0:
		return fmt.Errorf("--priority is from 1 to %d", mostPriority)
	case c.stall == 0:
		return errNoStall
	}
	return nil
}

// connect connects to the server, once.
func (c *call) connect(ctx context.Context) (*hydra.Server, error) {
	address := c.server
	if address == "" {
		address = hydra.DefaultAddress
	}
	access, err := c.access.read(c.program)
	if err != nil {
		return nil, err
	}
	s, err := hydra.Connect(ctx, address, &hydra.ConnectOptions{Access: access, Logger: c.logger})
	switch {
	case errors.Is(err, hydra.ErrUnauthorized):
		err = c.adviseToJoin(err, "operator")
	case errors.Is(err, hydra.ErrUnreachable):
		switch {
		case strings.Contains(address, "://"):
			err = fmt.Errorf("%w. Is that engine running?", err)
		case address == hydra.DefaultAddress, !strings.Contains(address, ":"):
			err = fmt.Errorf("%w. Start one there with `%s server`, or name where it is with --server", err, c.name)
		default:
			err = fmt.Errorf("%w. Start one there with `%s server --listen %s`, or name where it is with --server", err, c.name, address)
		}
	}
	return s, err
}

// onSignal says what the first signal does to a job.
func (c *call) onSignal() string {
	if c.cancelOnExit {
		return "cancelling the job"
	}
	return "" // that it goes on is said with its name
}

// submit makes a job of a run, and returns its result.
func (c *call) submit(ctx context.Context, runner hydra.Runner, paths []string, o *hydra.Options) (hydra.Document, error) {
	return c.limited(ctx, runner, paths, o, func() (hydra.Document, error) { return c.submitAs(ctx, runner, paths, o, c.job) })
}

// submitAs is submit for a job of some name.
func (c *call) submitAs(ctx context.Context, runner hydra.Runner, paths []string, o *hydra.Options, name string) (hydra.Document, error) {
	s, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	job, err := runner.Submit(ctx, s, paths, &hydra.JobOptions{
		Options: *o, ID: name, Priority: c.priority, MinClients: c.minClients, Events: c.events(s),
	})
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("%w: the server may have got the job: see `%s job list --server %s`", context.Cause(ctx), c.name, c.as(s.Address()))
	}
	if err != nil {
		return nil, err
	}
	c.say("job " + job.ID() + " is submitted to " + s.Address())
	return c.wait(ctx, s, job)
}

// lateAnswer is when it is said that a job is not cancelled yet.
const lateAnswer = 3 * time.Second

// wait returns the result of a job. When a signal comes, the job goes on, or is
// cancelled.
func (c *call) wait(ctx context.Context, s *hydra.Server, job *hydra.Job) (hydra.Document, error) {
	doc, err := job.Wait(ctx)
	lost := doc == nil && c.out.failed(err) // nobody reads any more, or the disk is full
	if doc != nil || ctx.Err() == nil && !lost {
		return doc, err
	}
	signal := context.Cause(ctx)
	switch {
	case lost && !c.cancelOnExit:
		c.say("job " + job.ID() + c.nowOf(ctx, s, job) + ": `" + c.toServer("job watch "+job.ID()) + "` puts all of it out")
		return nil, err
	case lost:
		signal = err
	case !c.cancelOnExit:
		do := func(what string) string {
			return fmt.Sprintf("`%s job %s %s --server %s`", c.name, what, job.ID(), c.as(s.Address()))
		}
		return nil, fmt.Errorf("%w: job %s goes on: %s waits for its result, and %s ends it", signal, job.ID(), do("watch"), do("cancel"))
	}
	ctx = context.WithoutCancel(ctx)
	late := time.AfterFunc(lateAnswer, func() {
		c.say("job " + job.ID() + " is not cancelled yet, for the server does not answer: `" + c.toServer("job cancel "+job.ID()) + "` does it later")
	})
	err = job.Cancel(ctx)
	late.Stop()
	if err != nil {
		// It may have ended meanwhile, which its result tells.
		c.log.Info("not cancelled", "job", job.ID(), "err", err)
	}
	doc, err = job.Wait(ctx)
	return doc, errors.Join(signal, err)
}

// nowOf says what is with a job for which nobody waits any more.
func (c *call) nowOf(ctx context.Context, s *hydra.Server, job *hydra.Job) string {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if st, err := s.Status(ctx, job.ID()); err == nil && st.Phase == "ended" {
		return " has ended"
	}
	return " goes on"
}

// noClient is how a server says that it has no clients.
const noClient = "no client has joined yet"

// events says what happens to a job.
func (c *call) events(s *hydra.Server) func(hydra.JobEvent) {
	return func(e hydra.JobEvent) {
		if e.Kind == "state" {
			return // what led to it was said
		}
		text := e.Text
		if strings.HasSuffix(text, noClient) {
			text += fmt.Sprintf(": start one with `%s client %s`", c.name, c.as(s.Address()))
		}
		c.say(text)
	}
}

// as is an address for a command line, with the credential that it needs.
func (c *call) as(address string) string {
	return shellWord(address) + c.access.flags()
}

// say says what happens, unless only the result is wanted.
func (c *call) say(text string) {
	if !c.quiet {
		fmt.Fprintf(c.screen, "%s: %s\n", c.title, escaped(text))
	}
}

// again is the command that lets a job go on, "" if the result is not that of a job.
func (c *call) again(doc hydra.Document) string {
	switch {
	case c.localJob != "":
		return c.goesOn(doc.Common().App)
	case !c.remote:
		return ""
	}
	return c.toServer("job resume " + doc.Common().Job)
}

// jobText is what people are told of the job of a result.
func (c *call) jobText(doc hydra.Document) jobText {
	t := jobText{remote: c.remote, again: c.again(doc)}
	switch job := doc.Common().Job; {
	case !c.info.Changes:
	case c.localJob != "":
		t.acts, t.undo = c.name+" job acts --local "+c.localJob, c.name+" undo --local "+c.localJob
	case c.remote:
		t.acts, t.undo = c.toServer("job acts "+job), c.toServer("undo "+job)
	}
	return t
}

// toServer is a command line for the server that this one is for.
func (c *call) toServer(command string) string {
	line := c.name + " " + command
	if c.server != "" {
		line += " --server " + c.as(c.server)
	}
	return line
}
