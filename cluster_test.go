package hydra

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/server"
	"github.com/hydrawalk/hydra/internal/wire"
)

// cluster is a server with clients, in this process.
type cluster struct {
	t      testing.TB
	engine *membus.Engine
	ctx    context.Context
	wg     sync.WaitGroup
	log    *slog.Logger
	apps   []distributed // of servers
	own    []wire.OwnDir // directories of the server
}

func newCluster(t testing.TB) *cluster {
	c := &cluster{t: t, engine: membus.New(rand.New(rand.NewPCG(1, 2)))}
	ctx, cancel := context.WithCancel(context.Background())
	c.ctx = ctx
	if testing.Verbose() {
		c.log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	t.Cleanup(func() {
		cancel()
		c.wg.Wait()
		c.engine.Close()
	})
	return c
}

func (c *cluster) serve() {
	b := c.engine.Open()
	c.wg.Go(func() {
		defer b.Close()
		o := server.Options{Bus: b, Logger: c.log, Own: c.own}
		for _, a := range c.apps {
			o.Apps = append(o.Apps, a.server(c.log))
		}
		if err := server.Run(c.ctx, o); err != nil {
			c.t.Error(err)
		}
	})
}

func (c *cluster) work(fsys fs.FS, workers int, apps ...distributed) {
	b := c.engine.Open()
	o := client.Options{Bus: b, Workers: workers, Logger: c.log, FS: fsys, Host: fmt.Sprintf("host%d", rand.IntN(1000))}
	for _, a := range apps {
		o.Apps = append(o.Apps, a.client(""))
	}
	c.wg.Go(func() {
		defer b.Close()
		if err := client.Work(c.ctx, o); err != nil {
			c.t.Error(err)
		}
	})
}

func (c *cluster) connect() *Server {
	var b bus.Bus = c.engine.Open()
	c.t.Cleanup(func() { b.Close() })
	return &Server{bus: b, rank: wire.RankOperator, name: "test"}
}

func TestAClusterCountsWhatOneProcessDoes(t *testing.T) {
	root := t.TempDir()
	for d := range 40 {
		dir := filepath.Join(root, fmt.Sprint("d", d), fmt.Sprint("e", d%3))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range 30 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(f)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	app := counter(nil)
	c := newCluster(t)
	c.serve()
	for range 3 {
		c.work(nil, 2, app)
	}
	j, err := c.connect().Submit(t.Context(), app, []string{root}, &JobOptions{})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := j.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, _ := doc.MarshalJSON()
	t.Logf("%s", text)
	if got := doc.(*Result[counts]).Stats.Files; got != 1200 {
		t.Errorf("%d files, want 1200", got)
	}
}
