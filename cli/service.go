package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/hydrawalk/hydra"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// serving are the flags that only the command server has.
type serving struct{ listen, state, nats string }

func (s *serving) define(f *pflag.FlagSet) {
	f.StringVar(&s.listen, "listen", hydra.DefaultAddress, "`ADDRESS:PORT` of this machine to listen on: with TLS on both sides, unless it is of the loopback; 0.0.0.0 is all, port 0 takes one that is free")
	f.StringVar(&s.state, "state", "", "keep jobs in the directory `DIR`; without this it is one of your own, named by the port")
	f.StringVar(&s.nats, "nats", "", "keep jobs in the NATS with JetStream at `URL` instead: nats://HOST:PORT")
}

func newService() *common {
	c := newCommon()
	c.logs = slog.LevelInfo
	return c
}

// serverCommand coordinates jobs.
func (p *program) serverCommand() *cobra.Command {
	c, own := newService(), new(serving)
	cmd := &cobra.Command{
		Use:     "server [flags]",
		Short:   "Coordinate jobs: one for all clients",
		GroupID: "cluster",
		Args:    cobra.NoArgs,
		Long: `Coordinate jobs. A server takes jobs from commands that run with --server, and
gives their directories to clients. It reads no directory itself.

What it knows of jobs is on its disk before anybody acts on it. It can be ended,
or killed, at any time: when it is started again with the same --state, clients
and commands find back to it, and jobs go on.

It listens on the loopback, and asks for a credential, which commands and clients
of the same user on this machine find by themselves.

For other hosts it listens where --listen says, with TLS 1.3. At its first start it
makes a CA of its own, in its state directory, and whoever joins gets a certificate
from it for a token: see ` + "`" + `token create` + "`" + `. Or it goes by certificates of your own CA,
which are given with --tls-ca, --tls-cert and --tls-key; the role of one is an
organisational unit of its subject: hydra-client, hydra-operator, hydra-viewer or
hydra-admin.

SIGINT and SIGTERM end it; jobs go on with the next start.`,
		Example: `  # for this user, on this machine
  ` + p.name + ` server

  # a second one, with its jobs in a place of their own
  ` + p.name + ` server --listen 127.0.0.1:8102 --state /var/lib/hydra

  # for other hosts, and a token for them to join with
  ` + p.name + ` server --listen 0.0.0.0:8101
  ` + p.name + ` token create --role client -o join.token

  # jobs in a NATS that runs elsewhere
  ` + p.name + ` server --nats nats://nats.example.org:4222 --creds nats.creds`,
	}
	f := cmd.Flags()
	f.SortFlags = false
	own.define(f)
	c.access.defineTLS(f, "let in who has a certificate of the CA in `FILE`, in PEM, instead of those that this server makes; with --nats, the CA of that",
		"be known by the certificate in `FILE`, in PEM; needs --tls-key", "read the key of --tls-cert from `FILE`")
	f.StringVar(&c.creds, "creds", "", "read the credential for --nats from `FILE`: JSON, or creds or an nkey of NATS")
	c.defineLog(f)
	c.complete(cmd)
	must(cmd.MarkFlagDirname("state"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		r := &call{program: p, common: c, title: cmd.CommandPath()}
		return r.serve(cmd, own)
	}
	return cmd
}

func (c *call) serve(cmd *cobra.Command, own *serving) error {
	from, err := c.begin(cmd, "server")
	if err != nil {
		return err
	}
	if own.nats != "" {
		for _, flag := range []string{"listen", "state"} {
			if from[flag] == originFlag {
				return fmt.Errorf("--%s is for the engine of the server's own, which there is not with --nats", flag)
			}
		}
	}
	if err := guardServer(); err != nil {
		return fmt.Errorf("keep the memory of the server from others: %w", err)
	}
	return c.service(cmd.Context(), "ending; jobs go on when the server is started again", func(ctx context.Context) error {
		o := &hydra.ServeOptions{Listen: own.listen, StateDir: own.state, NATS: own.nats, Logger: c.logger, Apps: c.apps}
		o.Access = hydra.Access{Creds: c.creds, TLSCA: c.tlsCA, TLSCert: c.tlsCert, TLSKey: c.tlsKey}
		o.Ready = func(s hydra.Serving) {
			c.sayReady(cmd, own, o, s)
			c.ready("ready at " + s.Address)
		}
		err := hydra.Serve(ctx, o)
		if errors.Is(err, hydra.ErrInUse) {
			err = fmt.Errorf("%w If it is, use that one; a second one needs a --listen and a --state of its own", err)
		}
		return err
	})
}

// sayReady says how to join a server that is ready.
func (c *call) sayReady(cmd *cobra.Command, own *serving, o *hydra.ServeOptions, s hydra.Serving) {
	at, here, jobs := shellWord(s.Address), "", "in the directory "+printable(o.StateDir)
	if own.nats != "" {
		// What runs there is not ours: its address is a URL.
		at, jobs = c.as(own.nats), "in the NATS at "+printable(own.nats)
	}
	if host, port, err := net.SplitHostPort(s.Address); err == nil && s.TLS {
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			name, err := os.Hostname()
			if err != nil {
				name = "HOST"
			}
			at = shellWord(net.JoinHostPort(name, port))
			host = "127.0.0.1"
		}
		if here = " --server " + shellWord(net.JoinHostPort(host, port)); net.JoinHostPort(host, port) == hydra.DefaultAddress {
			here = ""
		}
	}
	fmt.Fprintf(c.stdout, "%s %s is ready at %s\n\n", c.name, cmd.Name(), s.Address)
	join := ""
	switch {
	case s.Tokens:
		fmt.Fprintf(c.stdout, "To let hosts join:       %s token create --role client%s -o join.token\n", c.name, here)
		join = " --token-file join.token"
	case s.TLS:
		join = " --tls-ca CA --tls-cert CERT --tls-key KEY"
	}
	fmt.Fprintf(c.stdout, "To join with a client:   %s client %s%s\n", c.name, at, join)
	if s.Tokens {
		at, join = strings.TrimPrefix(here, " --server "), ""
	}
	for _, app := range c.apps[:min(1, len(c.apps))] {
		if at == "" {
			at = hydra.DefaultAddress
		}
		fmt.Fprintf(c.stdout, "To run a job:            %s %s --server %s%s PATH\n", c.name, app.Info().Name, at, join)
	}
	fmt.Fprintf(c.stdout, "Jobs are kept %s.\n", jobs)
}

// clienting is what the command client does.
type clienting struct {
	*common
	once  bool
	allow []string
	runAs string
	root  string
}

func (c *clienting) init() *clienting { c.common = newService(); return c }

func (c *clienting) define(f *pflag.FlagSet) {
	c.defineWorkers(f)
	c.defineRecords(f)
	f.StringSliceVar(&c.allow, "allow", nil, "let the applications `APP,...` change something on this host, as purge; those that only read always run")
	f.StringVar(&c.root, "root", "", "refuse jobs with a PATH outside of the directory `DIR`, which nothing that is read, deleted or written for a job leaves; a command of exec may")
	f.StringVar(&c.runAs, "run-as", "", "run the commands of exec as `USER` of this host, a name or a number, and not as whoever runs the client, who has to be root for it")
	f.BoolVar(&c.once, "once", false, "end when a job that it worked on has ended")
	c.access.define(f)
	// Where the server is may be configured; here it is an argument.
	f.StringVar(&c.server, "server", "", "`ADDRESS` of the server, where no SERVER is given")
	_ = f.MarkHidden("server") // it was just defined
	c.defineLog(f)
}

// clientCommand works on the jobs of a server.
func (p *program) clientCommand() *cobra.Command {
	c := new(clienting).init()
	cmd := &cobra.Command{
		Use:     "client [flags] SERVER[:PORT]",
		Short:   "Work on the jobs of a server, on each machine",
		GroupID: "cluster",
		Args:    cobra.MaximumNArgs(1),
		Long: `Work on the jobs of a server. Each machine that sees the files runs a client; it
takes part in every job whose paths it sees as the others do and whose
application it has, in the same version.

What only reads always runs, and so do dry runs. A job that would change something,
as those of purge and exec, runs only if --allow names its application: else this
client takes no part in it, and says so to whoever submitted the job.

It waits for a server that is not there, and for one that went away, and goes on
meanwhile with the work at hand. If a client dies, others do its work; what it
had counted and written down stays counted.

SERVER may be left out where it is configured as ` + "`server`" + `, or HYDRA_SERVER.
SIGINT and SIGTERM make it give its work back, then it ends.`,
		Example: `  # the server of this machine
  ` + p.name + ` client localhost

  # four directories at a time, unless a user of a job says otherwise
  ` + p.name + ` client localhost -j 4

  # a server on another host, with a token that was made there
  ` + p.name + ` client nas-admin:8101 --token-file join.token

  # let jobs of purge delete files here
  ` + p.name + ` client localhost --allow purge

  # for jobs below /data only, whatever links lead out of it
  ` + p.name + ` client localhost --root /data

  # let jobs run commands here, as a user who can do little harm
  ` + p.name + ` client localhost --allow exec --run-as nobody

  # for one job, as a batch system starts it
  ` + p.name + ` client localhost --once`,
	}
	cmd.DisableFlagsInUseLine = true
	cmd.Flags().SortFlags = false
	c.define(cmd.Flags())
	c.complete(cmd)
	must(cmd.MarkFlagDirname("root"))
	must(cmd.RegisterFlagCompletionFunc("run-as", cobra.NoFileCompletions))
	must(cmd.RegisterFlagCompletionFunc("allow", completeList(p.changing())))
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r := &call{program: p, common: c.common, title: cmd.CommandPath()}
		if _, err := r.begin(cmd, "client"); err != nil {
			return err
		}
		if len(args) > 0 {
			c.server = args[0]
		}
		if c.server == "" {
			return &hintError{errors.New("no SERVER given, and none is configured"), cmd.CommandPath() + " localhost"}
		}
		access, err := c.access.read(p)
		if err != nil {
			return err
		}
		if err := guardClient(); err != nil {
			return fmt.Errorf("keep the memory of the client from others: %w", err)
		}
		return r.service(cmd.Context(), "giving the work back", func(ctx context.Context) error {
			err := hydra.Work(ctx, c.server, &hydra.WorkOptions{
				Workers: c.workers, Once: c.once, Access: access, Records: c.records, Allow: c.allow, Root: c.root, RunAs: c.runAs, Logger: r.logger,
				Joined: func() { r.ready("joined the server " + c.server) },
			}, p.apps...)
			return r.adviseToJoin(err, "client")
		})
	}
	return cmd
}

// changing are the names of the applications that may change something.
func (p *program) changing() []string {
	var names []string
	for _, app := range p.apps {
		if info := app.Info(); info.Changes || info.Command {
			names = append(names, info.Name)
		}
	}
	return names
}

// service runs what goes on until a signal ends it, and says what the first one
// does.
func (c *call) service(ctx context.Context, signal string, run func(context.Context) error) error {
	logs, err := c.openLog()
	if err != nil {
		return err
	}
	defer logs.close()
	ctx, sigs := watch(ctx, c.screen, c.title, signal, make(chan struct{}), c.abort, logs.reopener())
	defer sigs.close()
	defer c.endsWith(ctx)()
	return asUsage(run(ctx))
}

// begin reads the configuration of a command and checks its flags.
func (c *call) begin(cmd *cobra.Command, section string) (origins, error) {
	from, err := c.readConfig(cmd, section)
	if err != nil {
		return nil, err
	}
	c.settle(from)
	return from, c.check()
}

// must is for what can not fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
