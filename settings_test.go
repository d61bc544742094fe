package hydra

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
	"github.com/spf13/pflag"
)

// knobs are settings of all kinds.
type knobs struct {
	Delay time.Duration `json:"delay"`
	Names []string      `json:"names,omitempty"`
	Only  string        `json:"only"`
	Deep  struct{ N int }
	Ratio float64 `json:"ratio"`
	Fixed int     `json:"fixed"`
}

func knobsApp() *App[knobs, counts] {
	return &App[knobs, counts]{
		Name: "knobs",
		Flags: func(f *pflag.FlagSet, k *knobs) {
			f.DurationVar(&k.Delay, "delay", time.Second, "")
			f.StringSliceVar(&k.Names, "names", nil, "")
		},
		Prepare: func(k *knobs) error {
			if k.Delay < 0 {
				return errors.New("no time is negative")
			}
			return nil
		},
		Change: func(before, after knobs) error {
			if before.Fixed != after.Fixed {
				return errors.New("it is fixed")
			}
			return nil
		},
		NewHandler: func(context.Context, *Worker[knobs, counts]) (walk.Handler, error) { return nil, nil },
	}
}

func TestSettingsAreChangedByFlagsAndByFields(t *testing.T) {
	now := `{"delay":5000000000,"names":["a"],"only":"x","Deep":{"N":1},"ratio":0.5,"fixed":7}`
	for _, tt := range []struct {
		set  []Setting
		want string // JSON, or what is wrong
	}{
		{[]Setting{{"delay", "2s"}}, `{"delay":2000000000,"names":["a"],"only":"x","Deep":{"N":1},"ratio":0.5,"fixed":7}`},
		{[]Setting{{"delay", "1s"}}, `{"delay":1000000000,"names":["a"],"only":"x","Deep":{"N":1},"ratio":0.5,"fixed":7}`}, // as the flag's default
		{[]Setting{{"names", "b,c"}, {"only", "5"}}, `{"delay":5000000000,"names":["b","c"],"only":"5","Deep":{"N":1},"ratio":0.5,"fixed":7}`},
		{[]Setting{{"Deep", `{"N":3}`}, {"ratio", "2"}}, `{"delay":5000000000,"names":["a"],"only":"x","Deep":{"N":3},"ratio":2,"fixed":7}`},
		{[]Setting{{"only", `"quoted"`}}, `{"delay":5000000000,"names":["a"],"only":"quoted","Deep":{"N":1},"ratio":0.5,"fixed":7}`},
		{[]Setting{{"delay", "-2s"}}, "no time is negative"},
		{[]Setting{{"delay", "soon"}}, "delay=soon: "},
		{[]Setting{{"fixed", "8"}}, "it is fixed"},
		{[]Setting{{"ratio", "much"}}, "ratio=much: "},
		{[]Setting{{"Deep", `{"M":3}`}}, "unknown field"},
		{[]Setting{{"only", "y"}, {"hidden", "1"}}, `knobs has no setting "hidden": there are Deep, delay, fixed, limit-ops,`},
	} {
		got, err := knobsApp().change([]byte(now), tt.set)
		var usage *UsageError
		switch {
		case err != nil && (!errors.As(err, &usage) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%v: %v, want %s", tt.set, err, tt.want)
		case err == nil && string(got) != tt.want:
			t.Errorf("%v: %s, want %s", tt.set, got, tt.want)
		}
	}
}

func TestWhatEveryJobHasIsChecked(t *testing.T) {
	for _, tt := range []struct{ key, value, wrong string }{
		{"priority", "1000", ""}, {"priority", "0", "from 1 to 1000"}, {"priority", "x", "from 1 to 1000"},
		{"max-errors", "0", ""}, {"max-errors", "-1", "a number is expected"},
		{"limit-ops", "0.5", ""}, {"limit-ops", "NaN", "calls per second"}, {"limit-ops", "-1", "calls per second"}, {"limit-ops", "Inf", "calls per second"},
		{"target-latency", "5ms", ""}, {"target-latency", "0", ""}, {"target-latency", "5", "a time is expected"}, {"target-latency", "-5ms", "a time is expected"},
		{"log", "debug", ""}, {"log.walk", "default", ""}, {"log.walk", "loud", "debug, info, warn, error or default"},
		{"workers", "5", "`job workers`"},
	} {
		known, err := general(&wire.Set{Levels: map[string]string{}}, Setting{tt.key, tt.value})
		if !known || (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%s=%s: known %v, %v, want %q", tt.key, tt.value, known, err, tt.wrong)
		}
	}
	if known, err := general(&wire.Set{}, Setting{"delay", "1s"}); known || err != nil {
		t.Errorf("a setting of an application: %v, %v", known, err)
	}
}

// changing notes what its settings were.
type changing struct {
	w      *Worker[knobs, counts]
	before []string
}

func (c *changing) File(context.Context, *walk.Entry) error { return nil }
func (c *changing) SettingsChanged(before knobs) error {
	c.before = append(c.before, before.Only+">"+c.w.Settings.Only)
	return nil
}

func TestAHandlerIsToldOnceOfSettingsThatChanged(t *testing.T) {
	app := knobsApp()
	var hs []*changing
	app.NewHandler = func(_ context.Context, w *Worker[knobs, counts]) (walk.Handler, error) {
		hs = append(hs, &changing{w: w})
		return hs[len(hs)-1], nil
	}
	settings := func(only string) []byte {
		text, err := json.Marshal(knobs{Only: only})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	task, err := newTask(app, &wire.Spec{Settings: settings("a"), Options: []byte("{}")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	add := func(id int) {
		if _, err := task.NewHandler(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	between := func() {
		for id := range hs {
			if err := task.Between(id); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(0)
	between()
	for _, only := range []string{"b", "c"} {
		if err := task.Update(settings(only)); err != nil {
			t.Fatal(err)
		}
	}
	add(1) // has the last ones from the beginning
	between()
	between()
	if len(hs[0].before) != 1 || hs[0].before[0] != "a>c" || len(hs[1].before) != 0 || hs[1].w.Settings.Only != "c" {
		t.Errorf("told %v and %v", hs[0].before, hs[1].before)
	}
	if err := task.Update([]byte("{")); err == nil {
		t.Error("settings that are no JSON were taken")
	}
}
