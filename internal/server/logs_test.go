package server_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/joblog"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/server"
	"github.com/hydrawalk/hydra/internal/wire"
)

// listener is a server with a job, j, and what it logs.
type listener struct {
	waiting
	out *bytes.Buffer // to be read when all have settled
}

func withListener(t *testing.T, do func(*listener)) {
	synctest.Test(t, func(t *testing.T) {
		engine := membus.New(nil)
		l := &listener{waiting: waiting{T: t, engine: engine, bus: engine.Open()}, out: new(bytes.Buffer)}
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- server.Run(ctx, server.Options{Bus: engine.Open(), Logger: slog.New(slog.NewTextHandler(l.out, nil))})
		}()
		synctest.Wait()
		l.ask(wire.Ask{Kind: wire.AskSubmit, Spec: &wire.Spec{Job: "j", App: "a", Roots: [][]byte{[]byte("/r")}}})
		do(l)
		end()
		<-ended
		l.bus.Close()
		time.Sleep(time.Second) // for subscriptions, which nobody waits for
	})
}

func (l *listener) tell(m wire.Logs) {
	l.Helper()
	if err := l.bus.Publish(wire.SubjectLogs(m.Client), ledger.Encode(m)); err != nil {
		l.Fatal(err)
	}
	synctest.Wait()
}

func (l *listener) status() wire.Answer { return l.ask(wire.Ask{Kind: wire.AskStatus, Job: "j"}) }

func warn(texts ...string) []joblog.Record {
	var all []joblog.Record
	for _, text := range texts {
		all = append(all, joblog.Record{At: time.Now(), Level: slog.LevelWarn, Logger: "walk", Text: text, Count: 1})
	}
	return all
}

func TestWarningsOfClientsAreLoggedAndKeptWithTheirJob(t *testing.T) {
	withListener(t, func(l *listener) {
		records := warn("close failed path=/a", "out of file descriptors")
		records[1].Level, records[1].Count = slog.LevelError, 7
		l.tell(wire.Logs{Client: "c1", Host: "h1", Job: "j", Seq: 1, Records: records})
		l.tell(wire.Logs{Client: "c1", Host: "h1", Seq: 1, Records: warn("connection lost")})
		l.tell(wire.Logs{Client: "c1", Host: "h1", Job: "unknown", Seq: 1, Records: warn("of another")})
		for _, want := range []string{
			`level=WARN msg="close failed path=/a" job=j logger=walk client=c1 host=h1` + "\n",
			`level=ERROR msg="out of file descriptors" job=j logger=walk times=7 client=c1 host=h1` + "\n",
			`level=WARN msg="connection lost" logger=walk client=c1 host=h1` + "\n",
			`level=WARN msg="of another" logger=walk client=c1 host=h1 job=unknown` + "\n",
		} {
			if strings.Count(l.out.String(), want) != 1 {
				t.Errorf("%s is not in\n%s", want, l.out)
			}
		}
		got := l.status()
		if len(got.Warnings) != 2 || got.WarningsDropped != 0 {
			t.Fatalf("%+v", got)
		}
		if w := got.Warnings[0]; w.Text != "close failed path=/a" || w.Host != "h1" || w.Client != "c1" || w.Logger != "walk" || !w.At.Equal(records[0].At) {
			t.Errorf("%+v", w)
		}
	})
}

func TestWarningsThatGotLostAreCounted(t *testing.T) {
	withListener(t, func(l *listener) {
		step := func(m wire.Logs, want uint64) {
			t.Helper()
			m.Client, m.Host, m.Job = "c1", "h1", "j"
			l.tell(m)
			time.Sleep(2 * time.Second)
			if got := l.status().WarningsDropped; got != want {
				t.Errorf("%d lost, want %d", got, want)
			}
		}
		step(wire.Logs{Seq: 5, Records: warn("a", "b")}, 0)           // what was before, another server was told
		step(wire.Logs{Seq: 10, Records: warn("c")}, 3)               // 7, 8, 9
		step(wire.Logs{Seq: 11, Records: warn("d"), Dropped: 4}, 7)   // four had no room
		step(wire.Logs{Seq: 12, Dropped: 5}, 8)                       // one more
		step(wire.Logs{Seq: 12, Records: warn("e"), Dropped: 5}, 8)   // not once more
		step(wire.Logs{Seq: 1, Records: warn("f"), Dropped: 2}, 10)   // it began anew
		step(wire.Logs{Seq: 1 << 60, Records: warn("g")}, 10+1<<30)   // its word only
		step(wire.Logs{Seq: 1<<60 + 1, Records: warn("h")}, 10+1<<30) // and goes on
		want := strings.Count(l.out.String(), `msg="warnings of a client were lost" job=j logger=server lost=`)
		if want != 5 {
			t.Errorf("said %d times that some were lost, want 5:\n%s", want, l.out)
		}
		if l.out.Len() > 10_000 {
			t.Errorf("the log has %d bytes", l.out.Len())
		}
	})
}

// TestNoClientCanFloodTheLog has clients that send what they like.
func TestNoClientCanFloodTheLog(t *testing.T) {
	withListener(t, func(l *listener) {
		if err := l.bus.Publish(wire.SubjectLogs("c"), []byte("nonsense")); err != nil {
			t.Fatal(err)
		}
		seq, sent := uint64(1), 0
		for range 20 { // seconds
			for range 10 {
				var records []joblog.Record
				for i := range 20 {
					records = append(records, joblog.Record{
						At: time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC), Level: -100, Logger: "x\nlevel=ERROR", Count: 1,
						Text: fmt.Sprint("forged\nlevel=ERROR msg=evil\x1b[31m\xff", strings.Repeat("y", 1500), i),
					})
				}
				l.tell(wire.Logs{Client: "evil", Host: strings.Repeat("h", 3000), Job: "j", Seq: seq, Records: records})
				seq += uint64(len(records))
				sent += len(records)
				time.Sleep(100 * time.Millisecond)
			}
		}
		lines := strings.Count(l.out.String(), "\n")
		if most := 300 + 20*50 + 20 + 10; lines > most || lines < 20*50 {
			t.Errorf("%d lines, want at most %d", lines, most)
		}
		for line := range strings.Lines(l.out.String()) {
			if !strings.HasPrefix(line, "time=") || strings.ContainsRune(line, 0x1b) || !utf8.ValidString(line) || len(line) > 2500 {
				t.Fatalf("%d bytes: %q", len(line), line)
			}
		}
		got := l.status()
		if len(got.Warnings) == 0 || len(got.Warnings) > 100 || got.WarningsDropped == 0 || len(ledger.Encode(got)) > bus.MaxMessage {
			t.Errorf("%d warnings, %d lost, in %d bytes", len(got.Warnings), got.WarningsDropped, len(ledger.Encode(got)))
		}
		for _, w := range got.Warnings {
			if time.Since(w.At).Abs() > time.Hour {
				t.Errorf("from %v", w.At)
			}
		}
		// Many at once share what there is.
		before := lines
		for i := range 200 {
			l.tell(wire.Logs{Client: ledger.ClientID(fmt.Sprint("c", i)), Host: "h", Job: "j", Seq: 1, Records: warn(strings.Split(strings.Repeat("z ", 100), " ")...)})
		}
		if lines = strings.Count(l.out.String(), "\n") - before; lines > 3000+500+200 {
			t.Errorf("%d lines of many clients", lines)
		}
	})
}
