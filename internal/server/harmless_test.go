package server_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// nasty is what clears a terminal, and forges a line of a log.
const nasty = "\x1b[2J\ntime=now level=ERROR msg=fake\u202e\xff"

func TestAClientCanNotWriteIntoALogOrATerminalByWhatItCallsItself(t *testing.T) {
	withListener(t, func(l *listener) {
		say := func(subject string, m any) {
			t.Helper()
			if err := l.bus.Publish(subject, ledger.Encode(m)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		app := []wire.AppID{{Name: "a"}, {Name: nasty, Version: nasty}}
		say(wire.SubjectBeat("c"), wire.Beat{Hello: wire.Hello{Client: nasty, Host: "h", Apps: app}})
		say(wire.SubjectBeat("c"), wire.Beat{Hello: wire.Hello{Client: "c", Host: "h", Apps: app}, Sessions: []wire.Pulse{{Job: nasty, Session: "c.s"}}})
		if got := l.ask(wire.Ask{Kind: wire.AskClients}); len(got.Clients) > 0 {
			t.Errorf("clients are %+v", got.Clients)
		}
		hello := wire.Hello{Client: "c", Host: nasty + strings.Repeat("h", 3000), Apps: app}
		for range 3 { // a bad name of an application is left out, and the client works all the same
			say(wire.SubjectBeat("c"), wire.Beat{Hello: hello})
			say(wire.SubjectSight("c"), wire.Seen{Job: "j", Client: "c", Err: nasty, Sights: []walk.Sight{{Err: nasty}}})
			time.Sleep(time.Second)
		}
		got := l.ask(wire.Ask{Kind: wire.AskClients})
		if len(got.Clients) != 1 || len(got.Clients[0].Apps) != 1 {
			t.Fatalf("clients are %+v", got.Clients)
		}
		peers := l.ask(wire.Ask{Kind: wire.AskPeers, Job: "j"})
		if len(peers.Peers) != 1 || peers.Peers[0].State != wire.PeerRefused {
			t.Fatalf("peers are %+v", peers.Peers)
		}
		texts := map[string]string{"the host of a client": got.Clients[0].Host, "why a client takes no part": peers.Peers[0].Why}
		for _, e := range l.status().Status[0].Events {
			texts["an event"] += e.Text
		}
		if !strings.Contains(texts["an event"], `takes no part: \x1b[2J\n`) {
			t.Errorf("events are %q", texts["an event"])
		}
		l.ask(wire.Ask{Kind: nasty, Job: nasty})
		for line := range strings.Lines(l.out.String()) {
			texts["a line of the log"] = strings.TrimSuffix(line, "\n")
			if !strings.HasPrefix(line, "time=2000") {
				t.Errorf("a line of the log is %q", line)
			}
		}
		for what, text := range texts {
			if text == "" || len(text) > 2000 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%s is %q (%d bytes)", what, text, len(text))
			}
		}
	})
}
