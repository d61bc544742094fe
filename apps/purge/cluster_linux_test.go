package purge_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/apps/purge"
)

// TestAJobAndAClusterPurgeAsOneProcessDoes purges the same trees in each way.
func TestAJobAndAClusterPurgeAsOneProcessDoes(t *testing.T) {
	if testing.Short() {
		t.Skip("starts an engine")
	}
	home := t.TempDir()
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"} {
		t.Setenv(name, home)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	ready := make(chan string, 1)
	wg.Go(func() {
		if err := hydra.Serve(ctx, &hydra.ServeOptions{Listen: "127.0.0.1:0", StateDir: filepath.Join(t.TempDir(), "state"), Ready: func(s hydra.Serving) { ready <- s.Address }}); err != nil {
			t.Error(err)
		}
	})
	address := <-ready
	for range 2 {
		wg.Go(func() {
			if err := hydra.Work(ctx, address, &hydra.WorkOptions{Workers: 2, Allow: []string{"purge"}}, purge.App()); err != nil {
				t.Error(err)
			}
		})
	}
	s, err := hydra.Connect(ctx, address, &hydra.ConnectOptions{Wait: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()

	seed := seedOf(t)
	for i := range uint64(3) {
		seed := seed + i
		rule := randomRule(rand.New(rand.NewPCG(seed, 1)))
		rule.emptyDirs = true
		make := func(name string) string {
			root := filepath.Join(dirFor(t, i), name)
			grow(t, rand.New(rand.NewPCG(seed, 2)), root, rule)
			return root
		}
		want := truth{rule: rule}
		root := make("truth")
		want.walk(t, root)
		left := want.without(listing(t, root))
		for _, dry := range []bool{true, false} {
			app := rule.app()
			app.Settings.Purge = !dry
			app.Flags = nil // to define them would set their defaults
			runs := map[string]func(root string, o *hydra.JobOptions) (hydra.Document, error){
				"job": func(root string, o *hydra.JobOptions) (hydra.Document, error) {
					o.ID = fmt.Sprintf("j%d-%v", i, dry)
					return app.Configure(newFlags()).RunJob(ctx, []string{root}, o)
				},
				"cluster": func(root string, o *hydra.JobOptions) (hydra.Document, error) {
					o.MinClients = 2
					job, err := s.Submit(ctx, app, []string{root}, o)
					if err != nil {
						return nil, err
					}
					return job.Wait(ctx)
				},
			}
			for name, run := range runs {
				root := make(name)
				before := listing(t, root)
				// Listing has read the directories.
				root = make(name + "2")
				doc, err := run(root, &hydra.JobOptions{Options: *rule.options(t, 3)})
				if err != nil {
					t.Fatalf("HYDRA_SEED=%d %s: %v", seed, name, err)
				}
				r := doc.(*hydra.Result[purge.Stats])
				want.check(t, r)
				expected := left
				if dry {
					expected = before
				}
				if diff := cmp.Diff(expected, listing(t, root)); diff != "" || t.Failed() {
					t.Fatalf("HYDRA_SEED=%d %s, dry %v, %+v: -want +is there\n%s", seed, name, dry, rule, diff)
				}
			}
		}
	}
}
