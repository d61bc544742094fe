package walk

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"
	"strconv"
	"testing"
	"time"
)

type cnt struct{ stat bool }

func (c cnt) File(_ context.Context, e *Entry) error {
	if c.stat {
		if _, err := e.Stat(); err != nil {
			return err
		}
	}
	return nil
}
func TestSmoke(t *testing.T) {
	if os.Getenv("ROOT") == "" {
		t.Skip()
	}
	if f := os.Getenv("PROF"); f != "" {
		ff, _ := os.Create(f)
		pprof.StartCPUProfile(ff)
		defer pprof.StopCPUProfile()
	}
	j, _ := strconv.Atoi(os.Getenv("J"))
	t0 := time.Now()
	c0 := processTime()
	o := &Options{Workers: j}
	if os.Getenv("LOG") != "" {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	tot, err := Trees(context.Background(), []string{os.Getenv("ROOT")}, func(int) (Handler, error) { return cnt{os.Getenv("STAT") != ""}, nil }, o)
	fmt.Println(time.Since(t0), processTime()-c0)
	fmt.Printf("%d %d w=%d e=%d %v\n", tot.ProcessedDirs, tot.ProcessedFiles, tot.Workers, tot.Errors, err)
}
