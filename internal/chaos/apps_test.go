//go:build linux

package chaos

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/apps/audit"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// application is what this process counts with.
func application() hydra.Application {
	switch os.Getenv("HYDRA_CHAOS_APP") {
	case "audit":
		return slowAudit()
	case "purge":
		return slowPurge()
	}
	return app()
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
	var poison []string
	if names := os.Getenv("HYDRA_CHAOS_POISON"); names != "" {
		poison = strings.Split(names, ",")
	}
	return &hydra.App[settings, counts]{
		Name:     "chaos",
		Version:  "1",
		Emits:    true,
		Settings: settings{PerFile: duration("HYDRA_CHAOS_PER_FILE")},
		NewHandler: func(_ context.Context, w *hydra.Worker[settings, counts]) (walk.Handler, error) {
			return &handler{w: w, poison: poison, pace: pace{each: w.Settings.PerFile}}, nil
		},
	}
}

// pace makes files take their time, a few at once.
type pace struct{ each, owed time.Duration }

func (p *pace) file() {
	if p.owed += p.each; p.owed > 2*time.Millisecond {
		time.Sleep(p.owed)
		p.owed = 0
	}
}

type handler struct {
	w      *hydra.Worker[settings, counts]
	poison []string // names that kill
	pace   pace
	path   []byte
}

func (h *handler) File(_ context.Context, e *walk.Entry) error {
	if len(h.poison) > 0 && slices.Contains(h.poison, e.Name()) {
		die()
	}
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
	h.pace.file()
	return h.w.Emit(append(h.path, '\n'))
}

func (h *handler) EnterDir(_ context.Context, d *walk.Dir) error {
	if len(h.poison) > 0 && slices.Contains(h.poison, filepath.Base(d.Path())) {
		die()
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

func die() {
	fmt.Fprintln(os.Stderr, "poisoned")
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// slowAudit is audit, with a handler that takes its time.
func slowAudit() *hydra.App[audit.Settings, audit.Stats] {
	a := audit.App()
	a.Settings.AsOf = audit.AsOf{Time: time.Unix(1_900_000_000, 0).UTC()}
	inner, each := a.NewHandler, duration("HYDRA_CHAOS_PER_FILE")
	a.NewHandler = func(ctx context.Context, w *hydra.Worker[audit.Settings, audit.Stats]) (walk.Handler, error) {
		h, err := inner(ctx, w)
		if err != nil {
			return nil, err
		}
		return &slow{auditor: h.(auditor), pace: pace{each: each}}, nil
	}
	return a
}

// auditor is what audit's handler is, beside a handler.
type auditor interface {
	walk.Handler
	EnterDir(context.Context, *walk.Dir) error
	LeaveDir(context.Context, *walk.Dir) error
	Flush(context.Context) error
	Error(context.Context, *walk.Error)
}

type slow struct {
	auditor
	pace pace
}

func (s *slow) File(ctx context.Context, e *walk.Entry) error {
	s.pace.file()
	return s.auditor.File(ctx, e)
}
