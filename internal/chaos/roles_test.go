package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/natsd"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// This test program is also all programs of the cluster: what it is depends on
// this variable.
const roleVar = "HYDRA_CHAOS_ROLE"

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
	os.Exit(m.Run())
}

// play is what a process of the cluster does.
func play(ctx context.Context, role string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	address := os.Getenv("HYDRA_CHAOS_ADDRESS")
	switch role {
	case "server":
		o := &hydra.ServeOptions{Listen: address, StateDir: os.Getenv("HYDRA_CHAOS_STATE"), Logger: log, Ready: func(at string) { fmt.Println(at) }}
		if engine := os.Getenv("HYDRA_CHAOS_ENGINE"); engine != "" {
			o = &hydra.ServeOptions{NATS: engine, Logger: log, Ready: o.Ready}
		}
		return hydra.Serve(ctx, o)
	case "engine":
		s, err := natsd.Start(natsd.Options{Listen: address, StateDir: os.Getenv("HYDRA_CHAOS_STATE"), User: "hydra", Password: "chaos", Log: log})
		if err != nil {
			return err
		}
		fmt.Println(s.Addr())
		<-ctx.Done()
		s.Shutdown()
		return nil
	case "client":
		workers, _ := strconv.Atoi(os.Getenv("HYDRA_CHAOS_WORKERS"))
		return hydra.Work(ctx, address, &hydra.WorkOptions{Workers: workers, Logger: log}, app())
	case "submit":
		s, err := hydra.Connect(ctx, address, &hydra.ConnectOptions{Wait: true})
		if err != nil {
			return err
		}
		defer s.Close()
		j, err := s.Submit(ctx, app(), strings.Split(os.Getenv("HYDRA_CHAOS_ROOTS"), ":"), &hydra.JobOptions{
			Stall:  duration("HYDRA_CHAOS_STALL"),
			Events: func(e hydra.JobEvent) { fmt.Fprintln(os.Stderr, e.Text) },
		})
		if err != nil {
			return err
		}
		doc, err := j.Wait(ctx)
		if doc == nil {
			return err
		}
		text, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(text)
		return err
	case "relay":
		return relay(ctx, address, os.Getenv("HYDRA_CHAOS_TARGET"))
	}
	return fmt.Errorf("no such role")
}

func duration(variable string) time.Duration {
	d, _ := time.ParseDuration(os.Getenv(variable))
	return d
}

// settings of the application.
type settings struct {
	PerFile time.Duration `json:"per_file"` // that the handler takes
}

// counts are what the application counts: enough to see whether each file and
// each directory was counted once.
type counts struct {
	Files   stats.Counter `json:"files"`
	Bytes   stats.Counter `json:"bytes"`
	Names   stats.Counter `json:"names"` // sum of the hashes of paths
	Entered stats.Counter `json:"entered"`
	Left    stats.Counter `json:"left"`
	LeftSum stats.Counter `json:"left_sum"` // what LeaveDir was told was in them
}

// app is the application: it takes its time for each file, and may kill its
// process.
func app() *hydra.App[settings, counts] {
	perFile := duration("HYDRA_CHAOS_PER_FILE")
	poison := os.Getenv("HYDRA_CHAOS_POISON")
	return &hydra.App[settings, counts]{
		Name:     "chaos",
		Version:  "1",
		Settings: settings{PerFile: perFile},
		NewHandler: func(_ context.Context, w *hydra.Worker[settings, counts]) (walk.Handler, error) {
			return &handler{w: w, poison: poison}, nil
		},
	}
}

type handler struct {
	w      *hydra.Worker[settings, counts]
	poison string
	owed   time.Duration
	path   []byte
}

var files atomic.Int64

func (h *handler) File(_ context.Context, e *walk.Entry) error {
	st, err := e.Stat()
	if err != nil {
		return err
	}
	s := h.w.Stats
	s.Files.Inc()
	s.Bytes.Add(st.Size)
	h.path = e.AppendPath(h.path[:0])
	f := fnv.New32a()
	f.Write(h.path)
	s.Names.Add(int64(f.Sum32()))
	files.Add(1)
	if h.owed += h.w.Settings.PerFile; h.owed > 2*time.Millisecond {
		time.Sleep(h.owed)
		h.owed = 0
	}
	return nil
}

func (h *handler) EnterDir(_ context.Context, d *walk.Dir) error {
	if h.poison != "" && d.Name() == h.poison {
		fmt.Fprintln(os.Stderr, "poisoned")
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	h.w.Stats.Entered.Inc()
	return nil
}

func (h *handler) LeaveDir(_ context.Context, d *walk.Dir) error {
	h.w.Stats.Left.Inc()
	c := d.Counts()
	h.w.Stats.LeftSum.Add(c.Dirs*1_000_003 + c.Files)
	return nil
}
