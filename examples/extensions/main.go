// Command extensions counts files and bytes by the ends of their names: a whole
// program on the public packages.
package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/cli"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

type counts struct {
	Extensions stats.Group[string] `json:"extensions"`
}

// counter has the statistics of one worker for itself: it needs no lock.
type counter struct{ *counts }

func (c counter) File(_ context.Context, e *walk.Entry) error {
	if !e.Type().IsRegular() {
		return walk.SkipFile
	}
	st, err := e.Stat()
	if err == nil {
		c.Extensions.Add(path.Ext(e.Name()), st.Size)
	}
	return err
}

func main() {
	cli.Main(&hydra.App[struct{}, counts]{
		Name:  "extensions",
		Short: "Count files and bytes by extension",
		NewHandler: func(_ context.Context, w *hydra.Worker[struct{}, counts]) (walk.Handler, error) {
			return counter{w.Stats}, nil
		},
		Summarize: func(out io.Writer, r *hydra.Result[counts]) error {
			for _, extension := range slices.Sorted(maps.Keys(r.Stats.Extensions)) {
				n := r.Stats.Extensions[extension]
				fmt.Fprintf(out, "%9d files %15d bytes  %q\n", n.Count, n.Bytes, extension)
			}
			return nil
		},
	})
}
