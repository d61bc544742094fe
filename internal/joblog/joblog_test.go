package joblog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"unicode/utf8"
)

func TestTheHandlerKeepsTheRulesOfSlog(t *testing.T) {
	for _, forwarding := range []bool{false, true} {
		var out bytes.Buffer
		slogtest.Run(t, func(*testing.T) slog.Handler {
			out.Reset()
			l := New(slog.New(slog.NewJSONHandler(&out, nil)), "")
			if forwarding {
				l = NewForwarding(slog.New(slog.NewJSONHandler(&out, nil)), "")
			}
			return &handler{log: l, inner: l.base}
		}, func(t *testing.T) map[string]any {
			var line map[string]any
			if err := json.Unmarshal(out.Bytes(), &line); err != nil {
				t.Fatalf("%v in %q", err, out.String())
			}
			return line
		})
	}
}

// plain makes a logger whose lines have no time.
func plain(out io.Writer, asJSON bool, least slog.Level) *slog.Logger {
	o := &slog.HandlerOptions{Level: least, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	if asJSON {
		return slog.New(slog.NewJSONHandler(out, o))
	}
	return slog.New(slog.NewTextHandler(out, o))
}

func TestLevelsChangeWhileLoggersAreInUse(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		l := New(plain(&out, asJSON, slog.LevelWarn), "j1")
		walk, app := l.Logger("walk").With("a", 1).WithGroup("g"), l.Logger("audit")
		try := func(levels map[string]slog.Level, want string) {
			t.Helper()
			out.Reset()
			l.SetLevels(levels)
			for _, log := range []*slog.Logger{walk, app} {
				for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
					// Whoever asks before gets the same answer.
					before := out.Len()
					enabled := log.Enabled(t.Context(), level)
					log.Log(t.Context(), level, "m", "b", 2)
					if wrote := out.Len() > before; wrote != enabled {
						t.Errorf("%v: enabled is %v, written %v", level, enabled, wrote)
					}
				}
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				var m struct {
					Level, Logger, Job string
				}
				if asJSON {
					if err := json.Unmarshal([]byte(line), &m); err != nil {
						t.Fatal(err)
					}
				} else {
					for field := range strings.FieldsSeq(line) {
						key, value, _ := strings.Cut(field, "=")
						switch key {
						case "level":
							m.Level = value
						case "logger":
							m.Logger = value
						case "job":
							m.Job = value
						}
					}
				}
				if m.Job != "j1" {
					t.Errorf("%q", line)
				}
				got = append(got, m.Logger+" "+m.Level)
			}
			if text := strings.Join(got, ", "); text != want {
				t.Errorf("%v: got %s, want %s", levels, text, want)
			}
		}
		const base = "walk WARN, walk ERROR, audit WARN, audit ERROR"
		try(nil, base)
		try(map[string]slog.Level{"walk": slog.LevelDebug}, "walk DEBUG, walk INFO, "+base)
		try(map[string]slog.Level{"": slog.LevelInfo, "walk": slog.LevelError}, "walk ERROR, audit INFO, audit WARN, audit ERROR")
		try(map[string]slog.Level{}, base)
	}
}

func TestWarningsAreKeptWhateverTheLevels(t *testing.T) {
	var out bytes.Buffer
	l := NewForwarding(plain(&out, false, slog.LevelError+4), "j1")
	log := l.Logger("walk").With("a", 1).WithGroup("g").With("b", "x y")
	log.Info("not this")
	log.Warn("close failed", "path", "/a\xff\n\x1b[31m", "err", errors.New("no"), slog.Group("in", "c", nil))
	if out.Len() > 0 {
		t.Errorf("written: %q", out.String())
	}
	records, dropped := l.Take(1 << 20)
	if len(records) != 1 || dropped != 0 {
		t.Fatalf("%+v, %d dropped", records, dropped)
	}
	r := records[0]
	want := `close failed g.path="/a\xff\n\x1b[31m" g.err=no g.in.c=<nil> a=1 g.b="x y"`
	if r.Text != want || r.Level != slog.LevelWarn || r.Logger != "walk" || r.Count != 1 || r.At.IsZero() {
		t.Errorf("got  %+v\nwant %s", r, want)
	}
	if again, _ := l.Take(1 << 20); len(again) > 0 {
		t.Errorf("taken twice: %v", again)
	}
	// Nothing is kept where nobody takes it.
	quiet := New(nil, "")
	quiet.Logger("x").Error("m")
	if records, dropped := quiet.Take(100); records != nil || dropped != 0 {
		t.Error(records, dropped)
	}
}

func TestWhatDoesNotFitIsDroppedAndCounted(t *testing.T) {
	l := NewForwarding(nil, "j")
	log := l.Logger("app")
	for i := range mostRecords + 100 {
		log.Warn("w", "i", i)
	}
	first, dropped := l.Take(10 * (overhead + 20))
	if len(first) == 0 || len(first) > 12 || dropped != 100 || first[0].Text != "w i=0" {
		t.Errorf("%d records, %d dropped, %+v", len(first), dropped, first)
	}
	log.Warn("later") // there is room again
	rest, dropped := l.Take(1 << 20)
	if len(first)+len(rest) != mostRecords+1 || dropped != 100 || rest[len(rest)-1].Text != "later" {
		t.Errorf("%d and %d records, %d dropped", len(first), len(rest), dropped)
	}
	// Large ones are cut, and bounded together.
	for i := range mostRecords {
		log.Warn("w", "i", i, "s", strings.Repeat("x", 5000), "t", strings.Repeat("é", 5000), "u", strings.Repeat("z", 5000))
	}
	all, dropped := l.Take(1 << 20)
	size := 0
	for _, r := range all {
		if size += r.size(); len(r.Text) > mostText || !utf8.ValidString(r.Text) {
			t.Errorf("%d bytes: %q", len(r.Text), r.Text)
		}
	}
	if size > mostBytes || len(all) < 50 || int(dropped)+len(all) != 100+mostRecords {
		t.Errorf("%d records of %d bytes, %d dropped", len(all), size, dropped)
	}
}

func TestABurstOfOneMessageIsOneRecord(t *testing.T) {
	l := NewForwarding(nil, "j")
	for range 1000 {
		l.Logger("walk").Warn("out of file descriptors", "err", "x")
	}
	l.Logger("walk").Error("out of file descriptors", "err", "x")
	records, dropped := l.Take(1 << 20)
	if len(records) != 2 || dropped != 0 || records[0].Count != 1000 || records[1].Count != 1 {
		t.Errorf("%+v, %d dropped", records, dropped)
	}
}

func TestManyMayLogWhileOneTakes(t *testing.T) {
	l := NewForwarding(nil, "j")
	const loggers, each = 8, 2000
	var wg sync.WaitGroup
	for i := range loggers {
		wg.Go(func() {
			log := l.Logger(fmt.Sprint("n", i))
			for k := range each {
				log.Warn("w", "k", k, "bad", nasty{})
				l.SetLevels(map[string]slog.Level{"": slog.LevelError})
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	got, dropped := 0, uint64(0)
	for last := false; ; {
		var records []Record
		records, dropped = l.Take(1000)
		for _, r := range records {
			got += r.Count
		}
		if len(records) == 0 {
			if last {
				break
			}
			select {
			case <-done:
				last = true
			default:
			}
		}
	}
	if got+int(dropped) != loggers*each {
		t.Errorf("%d taken and %d dropped of %d", got, dropped, loggers*each)
	}
}

// nasty is a value of an application that is not right.
type nasty struct{}

func (nasty) LogValue() slog.Value { panic("no") }

func TestLevelsAreReadByName(t *testing.T) {
	got, err := ParseLevels(map[string]string{"": "warn", "walk": "debug", "audit": "ERROR"}, "audit")
	if err != nil || len(got) != 3 || got["walk"] != slog.LevelDebug || got[""] != slog.LevelWarn || got["audit"] != slog.LevelError {
		t.Error(got, err)
	}
	_, err = ParseLevels(map[string]string{"wlak": "debug"}, "audit")
	if want := `nothing logs as "wlak"; there are walk, client, server, hydra, audit`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = ParseLevels(map[string]string{"walk": "loud"}, "audit")
	if want := `"loud" is not a level: use debug, info, warn or error`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func BenchmarkDisabledDebug(b *testing.B) {
	log := NewForwarding(slog.New(slog.NewTextHandler(io.Discard, nil)), "j").Logger("app")
	b.ReportAllocs()
	for b.Loop() {
		log.LogAttrs(context.Background(), slog.LevelDebug, "m", slog.Int("i", 1))
	}
}
