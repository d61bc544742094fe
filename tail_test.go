package hydra

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/server"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

type calling struct {
	*sweeper
	f func()
}

func (c *calling) File(context.Context, *walk.Entry) error { c.f(); return nil }

func TestAJobThatIsCancelledBeforeItsTailIsNotComplete(t *testing.T) {
	f := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(f, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		engine := membus.New(nil)
		ctx, cancel := context.WithCancel(context.Background())
		var tails atomic.Int32
		app := sweepApp()
		app.Tail = func(context.Context, *Tail[struct{}, sweepStats]) error { tails.Add(1); return nil }
		own := engine.Open()
		s := &Server{bus: own, rank: wire.RankOperator, name: "test", address: "here"}
		app.NewHandler = func(_ context.Context, w *Worker[struct{}, sweepStats]) (walk.Handler, error) {
			return &calling{&sweeper{w}, func() {
				if err := s.Cancel(ctx, "j"); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
			}}, nil
		}
		done := make(chan error, 2)
		serverBus, clientBus := engine.Open(), engine.Open()
		go func() { done <- server.Run(ctx, server.Options{Bus: serverBus}) }()
		go func() {
			done <- client.Work(ctx, client.Options{Bus: clientBus, Apps: []client.App{app.client("")}, Workers: 1})
		}()
		j, err := s.Submit(ctx, app, []string{f}, &JobOptions{ID: "j"})
		if err != nil {
			t.Fatal(err)
		}
		doc, _ := j.Wait(ctx)
		if state := doc.Common().State; state != Cancelled || tails.Load() != 0 {
			t.Errorf("%s, after %d tails", state, tails.Load())
		}
		if err := s.Resume(ctx, "j"); err != nil {
			t.Error(err)
		}
		doc, err = j.Wait(ctx)
		if err != nil || doc.Common().State != Complete || tails.Load() != 1 {
			t.Errorf("%v, after %d tails, %v", doc.Common().State, tails.Load(), err)
		}
		cancel()
		<-done
		<-done
		own.Close()
		serverBus.Close()
		clientBus.Close()
		engine.Close()
	})
}

func TestAnyTimeOfAFileCanBeWrittenDown(t *testing.T) {
	for _, sec := range []int64{math.MinInt64, -99999999999, -1, 0, 1e9, 253402300800, math.MaxInt64} {
		a := &Act{Op: "remove", Root: "/", Path: "/f", Stat: walk.Stat{Mtime: walk.Time{Sec: sec, Nsec: math.MaxUint32}, Ctime: walk.Time{Sec: sec}}}
		lines := appendAct(nil, a, actIntent, 0, 1, 0, "")
		n := 0
		if err := eachLine(lines, func(l *actLine) error {
			n++
			if got := l.act(); got.Path != a.Path || sec == 1e9 && got.Stat.Ctime != a.Stat.Ctime {
				t.Errorf("%+v", got)
			}
			return nil
		}); err != nil || n != 1 {
			t.Errorf("%d: %d lines, %v", sec, n, err)
		}
	}
}
