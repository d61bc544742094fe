package enemy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/gate"
	"github.com/hydrawalk/hydra/internal/joblog"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// liars are attacks of members who say what is not so, or too much of it.
var liars = []attack{
	{"an old version", func(t *testing.T, w *world, _ string) {
		s := w.host().begin(t, w.joined(t, hydra.RoleClient), "client", "old", "")
		id := ledger.ClientID(s.id)
		for _, version := range []byte{0, 2, 255} {
			for _, v := range []any{wire.Hello{Client: id}, wire.Beat{Hello: wire.Hello{Client: id}}} {
				data := ledger.Encode(v)
				data[0] = version
				subject := wire.SubjectHello(id)
				if _, isBeat := v.(wire.Beat); isBeat {
					subject = wire.SubjectBeat(id)
				}
				s.say(pub(messages+subject, s.inbox+"x", data))
			}
		}
		// After that a message that is understood, so that they were read.
		other := w.host().begin(t, w.joined(t, hydra.RoleClient), "client", "new", "")
		other.hello()
		if w.known(t, s.id) || !w.known(t, other.id) {
			t.Error("a client of another version was taken in, or one of this was not")
		}
		operator := w.host().begin(t, w.joined(t, hydra.RoleOperator), "operator", "old", "")
		data := ledger.Encode(wire.Ask{Kind: wire.AskRemove, Job: w.archive})
		data[0] = 2
		var answer wire.Answer
		if err := ledger.Decode([]byte(operator.ask(messages+wire.SubjectAsk(wire.RankOperator, operator.id), data)), &answer); err != nil || !strings.Contains(answer.Err, "does not understand") {
			t.Errorf("%+v, %v", answer, err)
		}
	}},
	{"beats and hellos in another's name", func(t *testing.T, w *world, running string) {
		s := w.host().begin(t, w.joined(t, hydra.RoleClient), "client", "mask", "")
		victim := ledger.ClientID(w.working(t))
		lies := map[string]any{
			wire.SubjectBeat(""):  wire.Beat{Hello: wire.Hello{Client: victim, Host: "h"}, Bye: true},
			wire.SubjectHello(""): wire.Hello{Client: victim, Host: "h"},
			wire.SubjectSight(""): wire.Seen{Job: running, Client: victim, Err: "nothing is there"},
			wire.SubjectLogs(""):  wire.Logs{Client: victim, Records: []joblog.Record{{Text: "in another's name"}}},
		}
		for subject, lie := range lies {
			// At its subject it is refused, and at one's own it does not count.
			s.denies(pub(messages+subject+string(victim), s.inbox+"x", ledger.Encode(lie)))
			if refused := s.say(pub(messages+subject+s.id, s.inbox+"x", ledger.Encode(lie))); len(refused) > 0 {
				t.Errorf("%s: %q", subject, refused)
			}
		}
		// And of its session.
		b := wire.Beat{Hello: wire.Hello{Client: ledger.ClientID(s.id), Host: "h"}, Sessions: []wire.Pulse{{Job: running, Session: ledger.SessionID(victim) + ".x", Dry: true}}}
		s.say(pub(messages+wire.SubjectBeat(ledger.ClientID(s.id)), "", ledger.Encode(b)))
		s.hello()
		if !w.known(t, string(victim)) {
			t.Error("a client was made to leave by another")
		}
		if strings.Contains(w.log.String(), "in another's name") {
			t.Error("a line of the log is of somebody else")
		}
	}},
	{"a flood of beats", func(t *testing.T, w *world, _ string) {
		e, cred := w.host(), w.joined(t, hydra.RoleClient)
		for n := range 4 {
			s := e.begin(t, cred, "client", fmt.Sprint("flood", n), "")
			b := wire.Beat{Hello: wire.Hello{Client: ledger.ClientID(s.id), Host: "h"}}
			for i := range 100 { // of jobs that there are not
				b.Sessions = append(b.Sessions, wire.Pulse{Job: fmt.Sprintf("none-%d-%d", n, i), Session: ledger.SessionID(fmt.Sprintf("%s.s%d", s.id, i))})
			}
			beat := pub(messages+wire.SubjectBeat(ledger.ClientID(s.id)), "", ledger.Encode(b))
			bye := pub(messages+wire.SubjectBeat(ledger.ClientID(s.id)), "", ledger.Encode(wire.Beat{Hello: b.Hello, Bye: true}))
			s.say(strings.Repeat(beat, 60) + strings.Repeat(beat+bye, 20))
		}
	}},
	{"a flood of subscriptions", func(t *testing.T, w *world, _ string) {
		e, cred := w.host(), w.joined(t, hydra.RoleClient)
		plain, counted := new(strings.Builder), new(strings.Builder)
		s := e.begin(t, cred, "client", "subs", "")
		for n := range 2000 {
			fmt.Fprintf(plain, "SUB %sx.%d %d\r\n", s.inbox, n, n+10)
			// To end after so many messages, which never come.
			fmt.Fprintf(counted, "SUB %sx.%d %d\r\nUNSUB %d 1000000\r\n", s.inbox, n, n+10, n+10)
		}
		if told := s.cut(plain.String()); !strings.Contains(told, "Maximum Subscriptions Exceeded") {
			t.Errorf("subscriptions without end: %.200q", told)
		}
		if told := e.begin(t, cred, "client", "subs", "").cut(counted.String()); !strings.Contains(told, "Maximum Subscriptions Exceeded") {
			t.Errorf("subscriptions that are to end some time, without end: %.200q", told)
		}
	}},
	{"a flood of consumers and requests", func(t *testing.T, w *world, _ string) {
		e, cred := w.host(), w.joined(t, hydra.RoleClient)
		at, _ := e.ticketed(t, cred, "many", w.held)
		id, all := at.tableID(w.held), new(strings.Builder)
		for n := range 150 {
			wish := fmt.Sprintf(`{"stream_name":%q,"config":{"name":"n%d","deliver_policy":"all","ack_policy":"none","replay_policy":"instant"}}`, stream(w.held), n)
			all.WriteString(pub(fmt.Sprintf("$JS.API.CONSUMER.CREATE.%s.n%d.>", stream(w.held), n), at.inbox+"c", []byte(wish)))
			all.WriteString(pub(fmt.Sprintf("$JS.API.CONSUMER.MSG.NEXT.%s.n%d", stream(w.held), n), at.inbox+"m", []byte(`{"batch":1000000000,"expires":3600000000000,"max_bytes":99999999999}`)))
		}
		for range 2000 {
			all.WriteString(pub("$JS.API.STREAM.MSG.GET."+stream(w.held), at.inbox+"g", []byte(`{"last_by_subj":"`+key(w.held, id, wire.KeySpec)+`"}`)))
		}
		// It does not read any answer.
		if _, err := io.WriteString(at.conn, all.String()); err != nil {
			t.Error(err)
		}
	}},
	{"nonsense of a member", func(t *testing.T, w *world, running string) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		s := w.host().begin(t, w.joined(t, hydra.RoleClient), "client", "mad", "")
		s.hello()
		id := ledger.ClientID(s.id)
		session := ledger.SessionID(s.id + ".x")
		hello := wire.Hello{Client: id, Host: "h\x1b[2J\nlevel=ERROR", PID: -1, Workers: 1 << 60, Apps: []wire.AppID{{Name: "none"}}}
		pulse := wire.Pulse{Job: running, Session: session, Received: 1 << 63, Queued: -1, MinDepth: -1 << 62, Hungry: true, Dry: true, Needs: -1 << 63, Acts: 1<<64 - 1, Workers: -5}
		for subject, v := range map[string]any{
			wire.SubjectBeat(id):  wire.Beat{Hello: hello, Sessions: []wire.Pulse{pulse, pulse}},
			wire.SubjectSight(id): wire.Seen{Job: running, Client: id, Sights: make([]walk.Sight, 3), Err: "\x1b]0;x\a\nno"},
			wire.SubjectLogs(id):  wire.Logs{Client: id, Job: running, Seq: 1 << 63, Dropped: 1<<64 - 1, Records: []joblog.Record{{Text: "\x1b[2J\nforged", Count: -1}}},
			wire.SubjectHello(id): hello,
		} {
			right, all := ledger.Encode(v), new(strings.Builder)
			all.WriteString(pub(messages+subject, s.inbox+"x", right))
			for range 100 {
				all.WriteString(pub(messages+subject, s.inbox+"x", mutant(random, right)))
			}
			s.say(all.String())
		}
		operator := w.host().begin(t, w.joined(t, hydra.RoleOperator), "operator", "mad", "")
		right, all := ledger.Encode(wire.Ask{Kind: wire.AskSet, Job: "none", Spec: &wire.Spec{Job: "none"}, Workers: -1 << 60, Set: &wire.Set{Priority: -1, Settings: []byte("{")}}), new(strings.Builder)
		for range 100 {
			all.WriteString(pub(messages+wire.SubjectAsk(wire.RankOperator, operator.id), operator.inbox+"x", mutant(random, right)))
		}
		operator.say(all.String())
		if log := w.log.String(); strings.Contains(log, "\nforged") || strings.ContainsRune(log, '\x1b') {
			t.Error("a line of the log was forged")
		}
	}},
	{"nonsense in the records of one's own job", func(t *testing.T, w *world, _ string) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		job, err := w.submit(t.Context(), &hydra.JobOptions{MinClients: 1000})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = job.Cancel(context.Background()) }) // it may have failed by then
		e, cred := w.host(), w.joined(t, hydra.RoleClient)
		at, ticket := e.ticketed(t, cred, "scribe", job.ID())
		b := e.bus(t, cred, gate.JobName(at.id), ticket)
		table, err := b.Open(t.Context(), wire.Table(job.ID()))
		if err != nil {
			t.Fatal(err)
		}
		session := ledger.SessionID(at.id + ".x")
		item := walk.Item{Root: 1 << 20, Path: []byte("../../../etc")}
		record := ledger.Record{
			Session: session, Client: ledger.ClientID(at.id), Host: "h\x1b[2J", N: 1<<64 - 1, In: 1 << 63, Held: []walk.Item{item, {Root: -1}}, NextOut: 1 << 63,
			Outs: []ledger.Bag{{K: 7, Items: []walk.Item{item}}, {K: 7, Roots: true}}, Data: []byte("{"), DataKeys: []string{"spec", "../x"}, Errors: []uint32{1 << 31}, Output: 1<<32 - 1, Notes: []string{"\x1b[2J\nforged"},
		}
		right := ledger.Encode(&record)
		for n := range 40 {
			data := right
			if n > 0 {
				data = mutant(random, right)
			}
			if _, err := table.Put(t.Context(), wire.KeyRecord(ledger.SessionID(fmt.Sprint(session, n))), data, 0); err != nil && !errors.Is(err, bus.ErrNoTable) {
				t.Fatal(err)
			}
		}
		// What is no value at all, and one whose parts are missing.
		id := at.tableID(job.ID())
		at.say(pub(key(job.ID(), id, wire.KeyRecord(session+"y")), at.inbox+"x", []byte("noise")))
		at.say(pub(key(job.ID(), id, wire.KeyRecord(session+"z")), at.inbox+"x", []byte("\x02\x00\x01\x02\x03\x04\x05\x06\x07\x08\xff\xff\x03\x00\x00\x00\x00\xff\xff\x03\x05")))
		// Others are told of that job, and of theirs, as before.
		if _, err := w.admin.Jobs(t.Context()); err != nil {
			t.Error(err)
		}
	}},
	{"a time that there is not", func(t *testing.T, w *world, _ string) {
		// It comes as a number, and could not be written down again.
		job, err := w.submit(t.Context(), &hydra.JobOptions{MinClients: 1000})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = job.Cancel(context.Background()) }) // it may have failed by then
		e, cred := w.host(), w.joined(t, hydra.RoleClient)
		at, ticket := e.ticketed(t, cred, "clock", job.ID())
		table, err := e.bus(t, cred, gate.JobName(at.id), ticket).Open(t.Context(), wire.Table(job.ID()))
		if err != nil {
			t.Fatal(err)
		}
		session := ledger.SessionID(at.id + ".x")
		record := struct {
			Session ledger.SessionID
			Client  ledger.ClientID
			Host    string
			N       uint64
			At      int64
		}{session, ledger.ClientID(at.id), "enemy", 1, 1 << 40}
		if _, err := table.Put(t.Context(), wire.KeyRecord(session), ledger.Encode(&record), 0); err != nil {
			t.Fatal(err)
		}
		until := time.NewTimer(patience)
		defer until.Stop()
		for again := time.Tick(50 * time.Millisecond); ; <-again {
			st, err := job.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			peers, err := w.admin.Peers(t.Context(), job.ID())
			if err != nil {
				t.Fatal(err)
			}
			if st.Phase == "ended" || slices.ContainsFunc(peers, func(p hydra.Peer) bool { return p.Client == at.id }) {
				return // the server has read it
			}
			select {
			case <-until.C:
				t.Fatal("the server did not read the record")
			default:
			}
		}
	}},
}

// mutant is a message in which some bytes are others.
func mutant(random *rand.Rand, right []byte) []byte {
	wrong := slices.Clone(right)
	for range 1 + random.IntN(4) {
		switch at := 1 + random.IntN(len(wrong)-1); random.IntN(4) {
		case 0:
			wrong = slices.Delete(wrong, at, at+1)
		case 1:
			wrong = slices.Insert(wrong, at, byte(random.Uint32()))
		default:
			wrong[at] = byte(random.Uint32())
		}
	}
	return wrong
}

// known tells whether the server knows a client.
func (w *world) known(t *testing.T, id string) bool {
	t.Helper()
	clients, err := w.admin.Clients(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(clients, func(c hydra.ClientStatus) bool { return c.ID == id })
}
