package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra"
)

// progress shows how far a run has come. Its methods belong to one goroutine.
type progress struct {
	title  string
	source func() hydra.Progress
	began  time.Time
	rate   rate
}

// rate is a number per second, smoothed: a step that took d seconds weighs
// 1 - e^(-d/3), so that about the last three seconds count, however often it is
// looked at.
type rate struct {
	at        time.Duration // of the last step
	count     int64
	perSecond float64
	steps     int
}

func (r *rate) step(at time.Duration, count int64) {
	elapsed := (at - r.at).Seconds()
	if elapsed <= 0 {
		return
	}
	now := max(0, float64(count-r.count)/elapsed) // what a lost client had not written down is gone
	if r.steps == 0 {
		r.perSecond = now
	} else {
		r.perSecond += (now - r.perSecond) * (1 - math.Exp(-elapsed/3))
	}
	r.at, r.count = at, count
	r.steps++
}

func newProgress(title string, source func() hydra.Progress, began time.Time) *progress {
	return &progress{title: title, source: source, began: began}
}

// step takes the counters as they are at now.
func (p *progress) step(now time.Time) shot {
	s := shot{Progress: p.source(), title: p.title, elapsed: now.Sub(p.began)}
	p.rate.step(s.elapsed, s.Entries)
	s.rate = p.rate.perSecond
	return s
}

// shot is the progress at one moment.
type shot struct {
	hydra.Progress
	title   string
	elapsed time.Duration
	rate    float64 // entries per second
}

// parts are what is shown, in two halves. There is no time of arrival: nobody
// knows how much is still to be found.
func (s shot) parts() (what, how string) {
	what = clock(s.elapsed) + "  " + humanize.Comma(s.Entries) + " entries  " + humanize.Comma(int64(s.rate)) + "/s"
	if s.Bytes > 0 {
		what += "  " + humanize.IBytes(uint64(s.Bytes))
	}
	how = fmt.Sprintf("dirs %s done, %s queued  %s", humanize.Comma(s.DirsDone), humanize.Comma(s.DirsQueued), count(int64(s.Workers), "worker"))
	if s.Clients > 0 {
		how += " on " + count(int64(s.Clients), "client")
	}
	if s.Errors > 0 {
		how += "  " + count(s.Errors, "error")
	}
	if s.Phase != "paused" {
		how += paceText(&s.Pace)
	}
	if s.Phase == "paused" || s.Phase == "stopping" {
		how += "  " + s.Phase
	}
	if s.Waits != "" {
		how += "  waiting: " + printable(s.Waits)
	}
	return what, how
}

// paceText says what holds a run back, and to what.
func paceText(p *hydra.Pace) string {
	text := ""
	if p.Target > 0 && p.Latency > 0 {
		text = "  latency " + p.Latency.Round(10*time.Microsecond).String() + " of " + p.Target.String()
	}
	if p.Limit > 0 {
		text += "  held to " + humanize.Comma(int64(math.Ceil(p.Limit))) + " calls/s"
	}
	return text
}

// text is one line, however long.
func (s shot) text() string {
	what, how := s.parts()
	return s.title + "  " + what + "  " + how
}

// drawn is a line of so many columns, or two where one is too short.
func (s shot) drawn(width int) string {
	what, how := s.parts()
	if one := what + "  " + how; len(one) <= width {
		return one
	}
	return truncate(what, width) + "\n" + truncate(how, width)
}

// json is one line.
func (s shot) json() string {
	line, err := json.Marshal(struct {
		Schema      string  `json:"schema"`
		Elapsed     float64 `json:"elapsed_seconds"`
		Entries     int64   `json:"entries"`
		Rate        float64 `json:"entries_per_second"`
		DoneDirs    int64   `json:"done_dirs"`
		QueuedDirs  int64   `json:"queued_dirs"`
		Bytes       int64   `json:"bytes"`
		Workers     int     `json:"workers"`
		ErrorsSoFar int64   `json:"errors"`
		Clients     int     `json:"clients,omitempty"`
		Waits       string  `json:"waits,omitempty"`
		Phase       string  `json:"phase,omitempty"`
		Ops         float64 `json:"ops_per_second,omitempty"`
		Limit       float64 `json:"limit_ops,omitempty"`
		Latency     float64 `json:"latency_seconds,omitempty"`
		Target      float64 `json:"target_latency_seconds,omitempty"`
	}{"hydra.progress/1", s.elapsed.Seconds(), s.Entries, math.Round(s.rate), s.DirsDone, s.DirsQueued, s.Bytes, s.Workers, s.Errors, s.Clients, s.Waits, s.Phase,
		math.Round(s.Pace.Ops), math.Round(s.Pace.Limit), s.Pace.Latency.Seconds(), s.Pace.Target.Seconds()})
	if err != nil {
		panic(err) // numbers and strings
	}
	return string(line)
}

// show shows progress until stop is closed, in the given way, and for each
// value of ask at once. drawn progress is taken away in the end.
func (p *progress) show(s *screen, way string, interval time.Duration, ask <-chan struct{}, stop <-chan struct{}) {
	if way == "auto" {
		way = "plain"
		if s.terminal {
			way = "drawn"
		}
	}
	if interval == 0 {
		interval = 10 * time.Second
		if way == "drawn" {
			interval = 200 * time.Millisecond
		}
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	defer s.draw("")
	tick := ticker.C
	if way == "none" {
		tick = nil
	}
	line := func(shot shot) {
		text := shot.text()
		if way == "json" {
			text = shot.json()
		}
		// Progress that can not be shown is no reason to fail.
		_, _ = io.WriteString(s, text+"\n")
	}
	for {
		select {
		case <-stop:
			return
		case <-ask:
			line(p.step(time.Now()))
		case now := <-tick:
			shot := p.step(now)
			if way == "drawn" {
				s.draw(shot.drawn(s.width() - 1))
			} else {
				line(shot)
			}
		}
	}
}

// clock is a duration as h:mm:ss or m:ss.
func clock(d time.Duration) string {
	sec := int64(d.Seconds())
	if sec >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", sec/3600, sec/60%60, sec%60)
	}
	return fmt.Sprintf("%d:%02d", sec/60, sec%60)
}

// count is a number with its noun, whose plural ends with s, or ies for y.
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		noun = stem + "ie"
	}
	return humanize.Comma(n) + " " + noun + "s"
}

// truncate shortens text, which is ASCII but for a file name, to n columns.
func truncate(text string, n int) string {
	if r := []rune(text); len(r) > max(n, 0) {
		return string(r[:max(n, 0)])
	}
	return text
}
