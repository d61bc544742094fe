//go:build linux

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/natsd"
)

// This test program is also all programs of the cluster: what it is depends on
// this variable.
const roleVar = "HYDRA_CHAOS_ROLE"

// The credential of an engine that is not the server's own.
const engineUser, enginePassword = "hydra", "chaos"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := play(ctx, role); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given && !all() {
		_ = flag.Set("test.parallel", "10") // most of them wait, most of the time
	}
	os.Exit(m.Run())
}

// play is what a process of the cluster does.
func play(ctx context.Context, role string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("pid", os.Getpid())
	address := os.Getenv("HYDRA_CHAOS_ADDRESS")
	switch role {
	case "server":
		o := &hydra.ServeOptions{Listen: address, StateDir: os.Getenv("HYDRA_CHAOS_STATE"), Logger: log, Ready: func(s hydra.Serving) { fmt.Println(s.Address) }}
		if engine := os.Getenv("HYDRA_CHAOS_ENGINE"); engine != "" {
			o = &hydra.ServeOptions{NATS: engine, Logger: log, Ready: o.Ready}
		}
		return hydra.Serve(ctx, o)
	case "engine":
		s, err := natsd.Start(natsd.Options{Listen: address, StateDir: os.Getenv("HYDRA_CHAOS_STATE"), User: engineUser, Password: enginePassword, Log: log})
		if err != nil {
			return err
		}
		fmt.Println(s.Addr())
		<-ctx.Done()
		s.Shutdown()
		return nil
	case "client":
		workers, _ := strconv.Atoi(os.Getenv("HYDRA_CHAOS_WORKERS"))
		app := application()
		return hydra.Work(ctx, address, &hydra.WorkOptions{Workers: workers, Allow: []string{app.Info().Name}, Logger: log}, app)
	case "submit":
		s, err := hydra.Connect(ctx, address, &hydra.ConnectOptions{Wait: true, Logger: log})
		if err != nil {
			return err
		}
		defer s.Close()
		priority, _ := strconv.Atoi(os.Getenv("HYDRA_CHAOS_PRIORITY"))
		least, _ := strconv.Atoi(os.Getenv("HYDRA_CHAOS_CLIENTS"))
		j, err := s.Submit(ctx, application(), roots(), &hydra.JobOptions{
			Options:    hydra.Options{Stall: duration("HYDRA_CHAOS_STALL"), Prefixes: prefixes(), Output: &said},
			Priority:   priority,
			MinClients: least,
			Events:     func(e hydra.JobEvent) { fmt.Fprintln(os.Stderr, "event:", e.Text) },
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "submitted:", j.ID())
		return print(j.Wait(ctx))
	case "run":
		if a, is := application().(*hydra.App[settings, counts]); is {
			return run(ctx, a)
		}
		return run(ctx, slowAudit())
	case "relay":
		return relay(ctx, address, os.Getenv("HYDRA_CHAOS_TARGET"))
	}
	return fmt.Errorf("no such role")
}

// run runs an application in this process alone.
func run[S, T any](ctx context.Context, a *hydra.App[S, T]) error {
	r, err := hydra.Run(ctx, a, roots(), &hydra.Options{Workers: 2, Output: &said})
	if r == nil {
		return err
	}
	return print(r, err)
}

func roots() []string { return strings.Split(os.Getenv("HYDRA_CHAOS_ROOTS"), ":") }

// prefixes are the mounts through which is walked, if there are several.
func prefixes() []string {
	if text := os.Getenv("HYDRA_CHAOS_PREFIXES"); text != "" {
		return strings.Split(text, ":")
	}
	return nil
}

// said is the output of this process: what is there twice, torn or missing changes it.
var said output

type output struct{ lines, sum int64 }

func (o *output) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		h := fnv.New32a()
		h.Write(line)
		o.lines++
		o.sum += int64(h.Sum32())
	}
	return len(p), nil
}

// print prints a result, if there is one.
func print(doc hydra.Document, err error) error {
	if doc == nil {
		return err
	}
	text, jsonErr := json.Marshal(doc)
	if jsonErr != nil {
		return jsonErr
	}
	text = fmt.Appendf(text[:len(text)-1], `,"output":{"lines":%d,"sum":%d}}`, said.lines, said.sum)
	if _, writeErr := os.Stdout.Write(text); writeErr != nil {
		return writeErr
	}
	return err
}

func duration(variable string) time.Duration {
	d, _ := time.ParseDuration(os.Getenv(variable))
	return d
}
