package enemy

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/gate"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/trust"
	"github.com/hydrawalk/hydra/internal/wire"
)

// rogues are attacks of those who have a certificate: one that they were given, or that
// of a client, which they stole.
var rogues = []attack{
	{"a client's certificate used as operator", func(t *testing.T, w *world, running string) {
		e, cred := w.host(), w.stolen(t, 0)
		for _, role := range []string{"operator", "viewer", "admin"} {
			conn := e.secure(t, config(gate.Protocol, certificate(t, cred)))
			if text, err := connect(conn, role+"."+named(t, cred, "a"), ""); !strings.Contains(text, refusedText) {
				t.Errorf("as %s: %q, %v", role, text, err)
			}
		}
		s := e.begin(t, cred, "client", "a", "")
		for _, rank := range []wire.Rank{wire.RankViewer, wire.RankOperator, wire.RankAdmin} {
			s.denies(pub(messages+wire.SubjectAsk(rank, s.id), s.inbox+"x", ledger.Encode(wire.Ask{Kind: wire.AskCancel, Job: running})))
		}
		s.denies(pub(messages+wire.SubjectNews(running), "", nil), pub("$JS.API.STREAM.NAMES", s.inbox+"x", nil),
			pub(messages+wire.SubjectPeer("x-y"), s.inbox+"x", nil))
	}},
	{"a viewer used as operator", func(t *testing.T, w *world, running string) {
		e, cred := w.host(), w.joined(t, hydra.RoleViewer)
		for _, role := range []string{"operator", "client", "admin"} {
			conn := e.secure(t, config(gate.Protocol, certificate(t, cred)))
			if text, err := connect(conn, role+"."+named(t, cred, "a"), ""); !strings.Contains(text, refusedText) {
				t.Errorf("as %s: %q, %v", role, text, err)
			}
		}
		s := e.begin(t, cred, "viewer", "a", "")
		s.denies(pub(messages+wire.SubjectAsk(wire.RankOperator, s.id), s.inbox+"x", nil), pub(messages+wire.SubjectAsk(wire.RankViewer, "other-id"), s.inbox+"x", nil))
		for _, kind := range []string{wire.AskSubmit, wire.AskCancel, wire.AskPause, wire.AskRemove, wire.AskWorkers, wire.AskSet, wire.AskDrain, wire.AskTokenCreate, wire.AskTokenList, wire.AskTokenRevoke, "format"} {
			if a := s.command(wire.RankViewer, wire.Ask{Kind: kind, Job: running}); !a.Denied {
				t.Errorf("%s: %+v", kind, a)
			}
		}
		id := s.tableID(running)
		s.denies(pub(key(running, id, wire.KeyState), "", nil), pub(key(running, id, "o.x.y.0"), "", nil), pub(key(running, id, "m.n"), "", nil))
		s.nobodyElse(w, running)
	}},
	{"an operator used as admin", func(t *testing.T, w *world, running string) {
		e, cred := w.host(), w.joined(t, hydra.RoleOperator)
		for _, role := range []string{"admin", "client"} {
			conn := e.secure(t, config(gate.Protocol, certificate(t, cred)))
			if text, err := connect(conn, role+"."+named(t, cred, "a"), ""); !strings.Contains(text, refusedText) {
				t.Errorf("as %s: %q, %v", role, text, err)
			}
		}
		s := e.begin(t, cred, "operator", "a", "")
		s.denies(pub(messages+wire.SubjectAsk(wire.RankAdmin, s.id), s.inbox+"x", nil), pub(messages+wire.SubjectAsk(wire.RankOperator, "other-id"), s.inbox+"x", nil))
		for _, kind := range []string{wire.AskTokenCreate, wire.AskTokenList, wire.AskTokenRevoke} {
			if a := s.command(wire.RankOperator, wire.Ask{Kind: kind}); !a.Denied {
				t.Errorf("%s: %+v", kind, a)
			}
		}
		// A job whose name would reach further than one table.
		for _, name := range []string{"*", ">", "a.>", "a.*", "../x", "a b", "", "a\r\nPUB", strings.Repeat("a", 300)} {
			spec := &wire.Spec{Job: name, App: "audit", Roots: [][]byte{[]byte("/")}}
			if a := s.command(wire.RankOperator, wire.Ask{Kind: wire.AskSubmit, Spec: spec}); a.Err == "" {
				t.Errorf("a job named %.40q was taken", name)
			}
		}
		id := s.tableID(running)
		for _, k := range []string{wire.KeyState, wire.KeySpec, "l.s.x.y", "d.x.y.1", "x.x.y.000000000001"} {
			s.denies(pub(key(running, id, k), "", nil))
		}
		s.nobodyElse(w, running)
	}},
	{"a plain client of NATS without a certificate", func(t *testing.T, w *world, _ string) {
		e := w.host()
		for _, user := range []string{"hydra", "client.a-b", "job.a-b", "admin.a-b", ""} {
			if text, err := connect(e.secure(t, config(gate.Protocol)), user, "hydra"); !strings.Contains(text, refusedText) {
				t.Errorf("%q: %q, %v", user, text, err)
			}
		}
		// What else an engine of NATS lets somebody prove who he is by.
		for _, more := range []string{`"auth_token":"x"`, `"jwt":"x","sig":"y"`, `"nkey":"UABC","sig":"y"`, `"user":"hydra","pass":null`, `"user":["admin.a-b"]`} {
			text, err := says(e.secure(t, config(gate.Protocol)), "CONNECT {"+more+"}\r\nPING\r\n")
			if err != nil || strings.Contains(text, "PONG") {
				t.Errorf("%s: %q, %v", more, text, err)
			}
		}
	}},
	{"a stolen certificate reaches for streams", func(t *testing.T, w *world, running string) {
		e, cred := w.host(), w.stolen(t, 0)
		look := w.host().begin(t, w.joined(t, hydra.RoleViewer), "viewer", "look", "")
		archive, live := look.tableID(w.archive), look.tableID(running)
		hint := e.begin(t, cred, "client", "hint", "")
		at, _ := e.ticketed(t, cred, "ticket", w.held)
		for _, s := range []*session{hint, at} {
			for _, job := range []string{w.archive, running} {
				for _, call := range []string{
					"STREAM.DELETE.%s", "STREAM.PURGE.%s", "STREAM.UPDATE.%s", "STREAM.CREATE.%s", "STREAM.MSG.DELETE.%s", "STREAM.MSG.GET.%s", "STREAM.INFO.%s",
					"STREAM.SNAPSHOT.%s", "STREAM.RESTORE.%s", "STREAM.LEADER.STEPDOWN.%s", "STREAM.PEER.REMOVE.%s", "DIRECT.GET.%s", "DIRECT.GET.%s.>", "DIRECT.GET.%s.hydra.t.x",
					"CONSUMER.CREATE.%s", "CONSUMER.CREATE.%s.c", "CONSUMER.CREATE.%s.c.>", "CONSUMER.DURABLE.CREATE.%s.c", "CONSUMER.NAMES.%s", "CONSUMER.LIST.%s", "CONSUMER.INFO.%s.c",
					"CONSUMER.MSG.NEXT.%s.c", "CONSUMER.DELETE.%s.c", "CONSUMER.PAUSE.%s.c", "CONSUMER.LEADER.STEPDOWN.%s.c",
				} {
					s.denies(pub("$JS.API."+fmt.Sprintf(call, stream(job)), s.inbox+"x", []byte("{}")))
				}
			}
			s.denies(pub("$JS.API.STREAM.NAMES", s.inbox+"x", nil), pub("$JS.API.STREAM.LIST", s.inbox+"x", nil), pub("$JS.API.INFO", s.inbox+"x", nil),
				pub("$JS.API.STREAM.CREATE.MINE", s.inbox+"x", []byte(`{"name":"MINE","subjects":["hydra.>"]}`)), pub("$JS.API.ACCOUNT.PURGE.$G", s.inbox+"x", nil),
				pub("$JS.API.META.LEADER.STEPDOWN", s.inbox+"x", nil), pub("$SYS.REQ.SERVER.PING", s.inbox+"x", nil), pub("$SYS.REQ.ACCOUNT.$G.CONNZ", s.inbox+"x", nil),
				pub("$SYS.REQ.USER.INFO", s.inbox+"x", nil), pub("$JS.ACK."+stream(w.archive)+".c.1.1.1.1.0", "", []byte("+TERM")), pub("$JS.FC."+stream(w.archive)+".c.x", "", nil))
			for _, k := range []string{wire.KeyState, wire.KeySpec, "l.s." + s.id + ".x", "d." + s.id + ".x.1", "o." + s.id + ".x.0", "m.n", "claim"} {
				s.denies(pub(key(w.archive, archive, k), s.inbox+"x", nil), pub(key(running, live, k), s.inbox+"x", nil),
					pub("hydra.sweep."+wire.Table(w.archive)+"."+archive+"."+k, "", []byte("999999")))
			}
		}
		// Its own job: it may read all, and make nothing else of the stream.
		for _, call := range []string{"STREAM.DELETE.%s", "STREAM.PURGE.%s", "STREAM.UPDATE.%s", "STREAM.MSG.DELETE.%s", "CONSUMER.DURABLE.CREATE.%s.c", "CONSUMER.CREATE.%s", "DIRECT.GET.%s", "STREAM.SNAPSHOT.%s"} {
			at.denies(pub("$JS.API."+fmt.Sprintf(call, stream(w.held)), at.inbox+"x", []byte("{}")))
		}
		// The name of another stream in the request does not lead there.
		answer := at.ask("$JS.API.CONSUMER.CREATE."+stream(w.held)+".mine.hydra.t.>", []byte(`{"stream_name":"`+stream(w.archive)+`","config":{"name":"mine","deliver_policy":"all","ack_policy":"none","replay_policy":"instant","filter_subject":"hydra.t.>"}}`))
		if !strings.Contains(answer, "error") {
			t.Errorf("a consumer of another stream: %s", answer)
		}
	}},
	{"records for another job, and for another session", func(t *testing.T, w *world, _ string) {
		e, cred := w.host(), w.stolen(t, 0)
		at, _ := e.ticketed(t, cred, "liar", w.held)
		id, victim := at.tableID(w.held), w.working(t)
		for _, k := range []string{wire.KeyState, wire.KeySpec, "claim", "claim.start", "l.s." + victim + ".x", "d." + victim + ".x.1", "e." + victim + ".x.0", "x." + victim + ".x.000000000001",
			"o." + victim + ".x.0", "m.s." + victim + ".x.1", "l.s." + at.id + "x.y", "l.s.*." + at.id, "l." + at.id + ".x", "a.x"} {
			at.denies(pub(key(w.held, id, k), at.inbox+"x", []byte("forged")), pub("hydra.sweep."+wire.Table(w.held)+"."+id+"."+k, "", []byte("999999")))
		}
	}},
	{"a job that has ended", func(t *testing.T, w *world, _ string) {
		// Who claims to work on it could change its result.
		hint := w.host().begin(t, w.stolen(t, 0), "client", "late", "")
		hint.hello()
		hint.beat(w.archive, w.held)
		if o := hint.order(); o.Job != w.held {
			t.Errorf("the server gave a ticket for %s", o.Job)
		}
	}},
	{"a ticket of somebody else", func(t *testing.T, w *world, _ string) {
		e, cred := w.host(), w.stolen(t, 0)
		at, ticket := e.ticketed(t, cred, "owner", w.held)
		tries := func(c *trust.Credential, user, ticket string) {
			t.Helper()
			if text, err := connect(e.secure(t, config(gate.Protocol, certificate(t, c))), user, ticket); strings.Contains(text, "PONG") {
				t.Errorf("%s came in with %.60q: %v", user, ticket, err)
			}
		}
		other := w.joined(t, hydra.RoleClient)
		tries(other, at.user, ticket)                         // with another certificate
		tries(other, "job."+named(t, other, "owner"), ticket) // or under its own name
		tries(cred, "job."+named(t, cred, "other"), ticket)
		tries(w.joined(t, hydra.RoleOperator), at.user, ticket)
		if text, _ := connect(e.secure(t, config(gate.Protocol)), at.user, ticket); strings.Contains(text, "PONG") {
			t.Error("a ticket came in without a certificate")
		}
		// Changed: for another job, for longer, or for all.
		body, sum, _ := strings.Cut(ticket, ".")
		text, err := base64.RawURLEncoding.DecodeString(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, forged := range []string{
			strings.ReplaceAll(string(text), w.held, w.archive), strings.ReplaceAll(string(text), w.held, "*"), strings.ReplaceAll(string(text), w.held, ">"),
			strings.ReplaceAll(string(text), "20", "30"), string(text) + " ", "{}", "",
		} {
			tries(cred, at.user, base64.RawURLEncoding.EncodeToString([]byte(forged))+"."+sum)
			tries(cred, at.user, base64.RawURLEncoding.EncodeToString([]byte(forged))+".")
			tries(cred, at.user, base64.RawURLEncoding.EncodeToString([]byte(forged)))
		}
		tries(cred, at.user, ticket+"=")
		tries(cred, at.user, "")
	}},
	{"a stolen certificate listens", func(t *testing.T, w *world, running string) {
		e, cred := w.host(), w.stolen(t, 0)
		e.begin(t, cred, "client", "ear", "").nobodyElse(w, running)
		at, _ := e.ticketed(t, cred, "ear2", w.held)
		at.nobodyElse(w, running)
		at.denies("SUB " + messages + wire.SubjectNews(running) + " 9\r\n")
	}},
	{"the engine made to write for somebody", func(t *testing.T, w *world, _ string) {
		e, cred := w.host(), w.stolen(t, 0)
		at, ticket := e.ticketed(t, cred, "puppet", w.held)
		id, n := at.tableID(w.held), 0
		again := func() *session { n++; return e.begin(t, cred, "job", "puppet", ticket) }
		state := key(w.held, id, wire.KeyState)
		for _, to := range []string{state, key(w.held, id, "l.s."+at.id+".x"), messages + "hydra.ask.admin.x-y", messages + wire.SubjectOrder("x-y"), "$JS.API.STREAM.DELETE." + stream(w.archive), "_INBOX.other-id.x",
			"_INBOX." + at.id, "_INBOX." + at.id + ".>", "_INBOX." + at.id + ".*.x", strings.ToLower(at.inbox) + "x"} {
			for _, line := range []string{
				pub("$JS.API.DIRECT.GET."+stream(w.held)+"."+key(w.held, id, wire.KeySpec), to, nil),
				pub("$JS.API.STREAM.MSG.GET."+stream(w.held), to, []byte(`{"last_by_subj":"x"}`)),
				pub("$JS.API.CONSUMER.MSG.NEXT."+stream(w.held)+".c", to, nil),
			} {
				if told := again().cut(line); !strings.Contains(told, "Permissions Violation for Reply") {
					t.Errorf("%.200q: %q", line, told)
				}
			}
		}
		for _, header := range []string{"Nats-Trace-Dest: " + state, "Nats-Rollup: all", "Nats-TTL: 1s", "Nats-Msg-Id: 1", "Nats-Incr: 1", "Nats-Schedule: @every 1s\r\nNats-Schedule-Target: " + state,
			"Nats-Expected-Last-Subject-Sequence: 0\r\nNats-Rollup: all", "nats-rollup: all", "Nats-Expected-Last-Sequence: 0", "Nats-Batch-Id: x", " Nats-Rollup: all", "Nats-Required-Api-Level: 99"} {
			head := "NATS/1.0\r\n" + header + "\r\n\r\n"
			told := again().cut(fmt.Sprintf("HPUB %s %sx %d %d\r\n%s\r\n", key(w.held, id, "l.s."+at.id+".x"), at.inbox, len(head), len(head), head))
			if !strings.Contains(told, "-ERR") {
				t.Errorf("%q: %q", header, told)
			}
		}
		// A consumer that would push is made one that does not.
		for _, wish := range []string{`"deliver_subject":"` + state + `"`, `"DELIVER_SUBJECT":"` + state + `"`, `"durable_name":"d","deliver_subject":"` + state + `","deliver_group":"g"`, `"sample_freq":"100","max_deliver":1,"backoff":[1]`} {
			answer := at.ask("$JS.API.CONSUMER.CREATE."+stream(w.held)+".p"+fmt.Sprint(n), []byte(`{"stream_name":"`+stream(w.held)+`","config":{"name":"p`+fmt.Sprint(n)+`","deliver_policy":"all","ack_policy":"explicit","replay_policy":"instant",`+wish+`},"action":"create"}`))
			n++
			var made struct {
				Error  any            `json:"error"`
				Config map[string]any `json:"config"`
			}
			if err := json.Unmarshal([]byte(answer), &made); err != nil || made.Error != nil {
				t.Errorf("%s: %s", wish, answer)
			}
			for _, field := range []string{"deliver_subject", "durable_name", "deliver_group", "backoff", "sample_freq"} {
				if made.Config[field] != nil {
					t.Errorf("%s: %s", wish, answer)
				}
			}
		}
		// Answers in another client's place, as nobody asked.
		hint := e.begin(t, cred, "client", "puppet", "")
		hint.denies(pub("_INBOX."+w.working(t)+".x", "", ledger.Encode(wire.Answer{})), pub("_INBOX.x-y.z", "", nil))
	}},
	{"a viewer by the usual program", func(t *testing.T, w *world, _ string) {
		// As a whole, and not message by message.
		file := keep(t, w.joined(t, hydra.RoleViewer))
		s, err := hydra.Connect(t.Context(), w.address, &hydra.ConnectOptions{Access: hydra.Access{Creds: file}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Jobs(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Remove(t.Context(), w.archive); !errors.Is(err, hydra.ErrUnauthorized) {
			t.Errorf("a viewer removes a job: %v", err)
		}
		if _, _, err := s.CreateToken(t.Context(), hydra.TokenOptions{Role: hydra.RoleOperator, Life: 1e12}); !errors.Is(err, hydra.ErrUnauthorized) {
			t.Errorf("a viewer makes a token: %v", err)
		}
	}},
}

// nobodyElse makes sure that a session hears nothing that is for others.
func (s *session) nobodyElse(w *world, running string) {
	s.t.Helper()
	for n, subject := range []string{
		">", "_INBOX.>", "_INBOX.*.>", "hydra.>", messages + ">", "hydra.t.>", "$JS.>", "$JS.API.>", "$SYS.>", "$JS.EVENT.ADVISORY.>", "hydra.sweep.>", "_INBOX." + w.working(s.t) + ".>",
		messages + "hydra.order.*", messages + wire.SubjectOrder(ledger.ClientID(w.working(s.t))), messages + wire.SubjectPeer(ledger.ClientID(w.working(s.t))),
		messages + wire.PatternAsk, messages + wire.PatternBeat, messages + wire.PatternHello, messages + "hydra.echo.*", "hydra.t." + wire.Table(running) + ".>",
	} {
		s.denies(fmt.Sprintf("SUB %s %d\r\n", subject, 100+n), fmt.Sprintf("SUB %s group %d\r\n", subject, 200+n))
	}
}

// command has the server asked for something.
func (s *session) command(rank wire.Rank, a wire.Ask) (answer wire.Answer) {
	s.t.Helper()
	if err := ledger.Decode([]byte(s.ask(messages+wire.SubjectAsk(rank, s.id), ledger.Encode(a))), &answer); err != nil {
		s.t.Fatal(err)
	}
	return answer
}

// TestARecordThatIsNoValueEndsItsJob has a member write into its own record what nobody can
// read: the job of which it takes part fails, and says why, and others go on.
func TestARecordThatIsNoValueEndsItsJob(t *testing.T) {
	w := open(t)
	w.during(t, func(string) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		job, err := w.submit(ctx, &hydra.JobOptions{ID: "spoilt", MinClients: 1000})
		if err != nil {
			t.Fatal(err)
		}
		at, _ := w.host().ticketed(t, w.joined(t, hydra.RoleClient), "spoil", job.ID())
		record := key(job.ID(), at.tableID(job.ID()), wire.KeyRecord(wire.NewSession(ledger.ClientID(at.id))))
		if refused := at.say(pub(record, at.inbox+"x", []byte("garbage"))); len(refused) > 0 {
			t.Fatal(refused)
		}
		if _, err := job.Wait(ctx); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("the job ended with %v", err)
		}
	})
}
