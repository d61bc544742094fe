package cli

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hydrawalk/hydra"
)

func TestTheRateFollowsInSecondsWhateverTheInterval(t *testing.T) {
	for _, interval := range []time.Duration{10 * time.Millisecond, 200 * time.Millisecond, time.Second} {
		var r rate
		at := func(seconds, per int) {
			for end := r.at + time.Duration(seconds)*time.Second; r.at < end; {
				r.step(r.at+interval, r.count+int64(float64(per)*interval.Seconds()))
			}
		}
		at(10, 1000)
		if math.Abs(r.perSecond-1000) > 1 {
			t.Errorf("every %v: 1000 per second are shown as %.1f", interval, r.perSecond)
		}
		at(3, 5000)
		if want := 5000 - 4000/math.E; math.Abs(r.perSecond-want) > 10 {
			t.Errorf("every %v: 3 seconds after a jump to 5000 it is %.1f, want %.1f", interval, r.perSecond, want)
		}
		before := r.perSecond
		r.step(r.at, r.count+1000)
		if r.perSecond != before {
			t.Errorf("every %v: a step of no time changed it", interval)
		}
	}
}

func TestWhatIsWrittenGoesAboveWhatIsDrawn(t *testing.T) {
	var out bytes.Buffer
	s := screenOf(&out, true)
	s.draw("one\ntwo")
	if _, err := io.WriteString(s, "log\n"); err != nil {
		t.Fatal(err)
	}
	s.draw("three")
	s.draw("")
	s.draw("")
	const one, two = eraseLine, eraseLine + lineAbove + eraseLine
	if want := one + "one\ntwo" + two + "log\none\ntwo" + two + "three" + one; out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}

func TestALineOfProgressTellsAll(t *testing.T) {
	s := shot{title: "hydra audit", elapsed: 3725 * time.Second, rate: 12345.6, Progress: hydra.Progress{
		Entries: 1234567, DirsDone: 1000, DirsQueued: 7, Bytes: 5 << 30, Workers: 1, Errors: 2,
	}}
	const what, how = "1:02:05  1,234,567 entries  12,345/s  5.0 GiB", "dirs 1,000 done, 7 queued  1 worker  2 errors"
	for got, want := range map[string]string{
		s.text():     "hydra audit  " + what + "  " + how,
		s.drawn(100): what + "  " + how,
		s.drawn(80):  what + "\n" + how,
		s.drawn(9):   "1:02:05  \ndirs 1,00",
	} {
		if got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	s.Clients, s.Workers, s.Waits = 2, 3, "1 of 2 clients"
	if got, want := s.text(), "  3 workers on 2 clients  2 errors  waiting: 1 of 2 clients"; !strings.HasSuffix(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	s.Errors, s.Bytes, s.elapsed = 0, 0, 59*time.Second
	if got := s.text(); strings.Contains(got, "error") || strings.Contains(got, "GiB") || !strings.Contains(got, " 0:59 ") {
		t.Errorf("got %q", got)
	}
}

// screenOf is a screen that is written into b.
func screenOf(b *bytes.Buffer, terminal bool) *screen {
	return &screen{w: b, fd: -1, terminal: terminal}
}

func TestProgressIsDrawnOnTerminalsAndPrintedElsewhere(t *testing.T) {
	const line = "0:%02d  5 entries  %s/s  dirs 0 done, 0 queued  0 workers"
	drawn := fmt.Sprintf(line, 0, "25")         // after 200 ms
	plain := "t  " + fmt.Sprintf(line, 10, "0") // after 10 s
	for _, tt := range []struct {
		way      string
		terminal bool
		after    time.Duration
		want     string // with a line of the log after that time
	}{
		{"auto", true, 300 * time.Millisecond, eraseLine + drawn + eraseLine + "log\n" + drawn + eraseLine},
		{"auto", false, 300 * time.Millisecond, "log\n"},
		{"auto", false, 11 * time.Second, plain + "\nlog\n"},
		{"plain", true, 11 * time.Second, plain + "\nlog\n"},
		{"none", true, 11 * time.Second, "log\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			s := screenOf(&out, tt.terminal)
			p := newProgress("t", func() hydra.Progress { return hydra.Progress{Entries: 5} }, time.Now())
			stop, ended := make(chan struct{}), make(chan struct{})
			go func() { p.show(s, tt.way, 0, nil, stop); close(ended) }()
			<-time.After(tt.after)
			synctest.Wait()
			if _, err := io.WriteString(s, "log\n"); err != nil {
				t.Fatal(err)
			}
			close(stop)
			<-ended
			if out.String() != tt.want {
				t.Errorf("%s, terminal %v, %v:\ngot  %q\nwant %q", tt.way, tt.terminal, tt.after, out.String(), tt.want)
			}
		})
	}
}
