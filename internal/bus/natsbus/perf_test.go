package natsbus

import (
	"context"
	"os"
	"testing"

	"github.com/hydrawalk/hydra/internal/natsd"
)

// What is measured syncs to a disk: /var/tmp is one even where the temporary
// directory is not.
func benchServer(b *testing.B) *natsd.Server {
	b.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "natsbus-bench-")
	if err != nil {
		b.Skip(err)
	}
	s, err := natsd.Start(natsd.Options{Listen: "127.0.0.1:0", StateDir: dir, User: "u", Password: "p"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		s.Shutdown()
		os.RemoveAll(dir)
	})
	return s
}

func BenchmarkPut(b *testing.B) {
	s := benchServer(b)
	for name, o := range map[string]Options{"InProcess": {InProcess: s}, "TCP": {URL: s.URL()}} {
		o.User, o.Password = "u", "p"
		for _, watched := range []string{"", "Watched"} {
			b.Run(name+watched, func(b *testing.B) {
				c, err := Connect(context.Background(), o)
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				c.Drop(context.Background(), "T")
				table, err := c.Create(context.Background(), "T")
				if err != nil {
					b.Fatal(err)
				}
				w, err := table.Watch(context.Background(), "")
				if err != nil {
					b.Fatal(err)
				}
				defer w.Stop()
				<-w.Updates()
				if watched == "" {
					w.Stop()
				}
				data := random(1 << 10)
				var rev uint64
				for b.Loop() {
					if rev, err = table.Put(context.Background(), "k", data, rev); err != nil {
						b.Fatal(err)
					}
					if watched != "" {
						<-w.Updates()
					}
				}
			})
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s := benchServer(b)
	c, err := Connect(context.Background(), Options{URL: s.URL(), User: "u", Password: "p"})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	table, err := c.Create(context.Background(), "T")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := table.Put(context.Background(), "k", random(1<<10), 0); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := table.Get(context.Background(), "k"); err != nil {
			b.Fatal(err)
		}
	}
}
