// Command largefiles writes down the files that are larger than a size, each where
// it was found: what is recorded need not fit into the result.
//
//	largefiles run --size 1G --records found /home
//	jq -r .record.path found/*.jsonl
package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/cli"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/pflag"
)

type settings struct {
	Size hydra.Size `json:"size"`
}

type counts struct {
	Large stats.Counter `json:"large_files"`
	Bytes stats.Counter `json:"large_bytes"`
}

// largeFile is what is recorded. The path is in it whatever its bytes are.
type largeFile struct {
	stats.Path
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
}

type finder struct {
	*hydra.Worker[settings, counts]
}

func (f finder) File(_ context.Context, e *walk.Entry) error {
	if !e.Type().IsRegular() {
		return walk.SkipFile
	}
	st, err := e.Stat()
	if err != nil || st.Size < int64(f.Settings.Size) {
		return err
	}
	f.Stats.Large.Inc()
	f.Stats.Bytes.Add(st.Size)
	// An error makes the file a failed one; the result says besides how many
	// records are lost.
	return f.Record(largeFile{stats.PathOf(e.Path()), st.Size, st.Mtime.Time()})
}

func main() {
	cli.Main(&hydra.App[settings, counts]{
		Name:     "largefiles",
		Short:    "Write down large files",
		Settings: settings{Size: 1 << 30},
		Flags: func(f *pflag.FlagSet, s *settings) {
			f.Var(&s.Size, "size", "write down files of at least `SIZE`, into the directory of --records")
		},
		NewHandler: func(_ context.Context, w *hydra.Worker[settings, counts]) (walk.Handler, error) {
			return finder{w}, nil
		},
		Summarize: func(out io.Writer, r *hydra.Result[counts]) error {
			_, err := fmt.Fprintf(out, "%d large files of %d bytes together\n", r.Stats.Large, r.Stats.Bytes)
			return err
		},
	})
}
