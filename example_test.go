package hydra_test

import (
	"context"
	"fmt"
	"log"
	"testing/fstest"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// counts are what each worker counts, and what is merged at the end.
type counts struct {
	Large stats.Counter `json:"large"`
}

type counter struct {
	counts *counts
	limit  hydra.Size
}

func (c counter) File(_ context.Context, e *walk.Entry) error {
	st, err := e.Stat()
	if err == nil && st.Size > int64(c.limit) {
		c.counts.Large.Inc()
	}
	return err
}

func ExampleRun() {
	app := &hydra.App[hydra.Size, counts]{
		Name:     "large",
		Settings: 10, // bytes
		NewHandler: func(_ context.Context, w *hydra.Worker[hydra.Size, counts]) (walk.Handler, error) {
			return counter{w.Stats, w.Settings}, nil
		},
	}
	tree := fstest.MapFS{
		"a/short": {Data: []byte("short")},
		"a/long":  {Data: []byte("longer than that")},
		"b/long":  {Data: []byte("also longer than that")},
	}
	result, err := hydra.Run(context.Background(), app, []string{"."}, &hydra.Options{FS: tree})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Stats.Large, "of", result.Walked.ProcessedFiles, "files,", result.State)
	// Output: 2 of 3 files, complete
}
