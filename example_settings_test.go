package hydra_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"testing/fstest"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

type regexpSettings struct {
	Names string `json:"names"` // a regular expression
}

type found struct {
	Matched stats.Counter `json:"matched"`
}

// matcher keeps what it makes of its settings.
type matcher struct {
	w  *hydra.Worker[regexpSettings, found]
	re *regexp.Regexp
}

func (m *matcher) File(_ context.Context, e *walk.Entry) error {
	if m.re.MatchString(e.Name()) {
		m.w.Stats.Matched.Inc()
	}
	return nil
}

// SettingsChanged is called between two files, when `job set ID names=...` has changed
// the settings.
func (m *matcher) SettingsChanged(regexpSettings) (err error) {
	m.re, err = regexp.Compile(m.w.Settings.Names)
	return err
}

// A handler that keeps something of its settings follows when they change.
func ExampleSettingsHandler() {
	app := &hydra.App[regexpSettings, found]{
		Name:     "match",
		Settings: regexpSettings{`\.go$`},
		// Before anybody is told.
		Prepare: func(p *regexpSettings) error {
			_, err := regexp.Compile(p.Names)
			return err
		},
		Change: func(_, after regexpSettings) error {
			if after.Names == "" {
				return errors.New("a pattern is needed")
			}
			return nil
		},
		NewHandler: func(_ context.Context, w *hydra.Worker[regexpSettings, found]) (walk.Handler, error) {
			m := &matcher{w: w}
			return m, m.SettingsChanged(regexpSettings{})
		},
	}
	tree := fstest.MapFS{"a.go": {}, "b/c.go": {}, "b/d.txt": {}}
	result, err := hydra.Run(context.Background(), app, []string{"."}, &hydra.Options{FS: tree})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Stats.Matched, "files match")
	// Output: 2 files match
}
