package hydra

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/pflag"
)

type timed struct{ At time.Time }

// What a user said yes to is what is done: the moment from which ages are counted is
// one, however long he thinks, or counting takes.
func TestWhatIsAskedCountedAndDoneGoesByOneMoment(t *testing.T) {
	now := time.Unix(1e9, 0).UTC()
	var asked, counted time.Time
	app := &App[timed, sweepStats]{
		Name: "timed",
		Prepare: func(c *timed) error {
			if c.At.IsZero() {
				c.At, now = now, now.Add(time.Hour)
			}
			return nil
		},
		Confirm: func(c timed, _ []string) (string, error) { asked = c.At; return "", nil },
		MaxActs: func(c timed, r *Result[sweepStats]) (int64, *timed, error) {
			if r == nil {
				return 0, &c, nil
			}
			if err := json.Unmarshal(r.Settings, &c); err != nil {
				return 0, nil, err
			}
			counted = c.At
			return 1, nil, nil
		},
		NewHandler: func(_ context.Context, w *Worker[timed, sweepStats]) (walk.Handler, error) {
			return nothing{}, nil
		},
	}
	r := app.Configure(pflag.NewFlagSet("", pflag.ContinueOnError))
	root := t.TempDir()
	if _, _, err := r.Confirm([]string{root}); err != nil {
		t.Fatal(err)
	}
	_, first, err := r.MaxActs(nil)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := first.Run(t.Context(), []string{root}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.MaxActs(doc); err != nil {
		t.Fatal(err)
	}
	doc, err = r.Run(t.Context(), []string{root}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var done timed
	if err := json.Unmarshal(doc.Common().Settings, &done); err != nil {
		t.Fatal(err)
	}
	if !asked.Equal(counted) || !asked.Equal(done.At) {
		t.Errorf("asked about %v, counted %v, done %v", asked, counted, done.At)
	}
}

type nothing struct{}

func (nothing) File(context.Context, *walk.Entry) error { return nil }
