package enemy

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/natsbus"
	"github.com/hydrawalk/hydra/internal/gate"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/trust"
	"github.com/hydrawalk/hydra/internal/wire"
)

// session is a connection to the engine by somebody who belongs, and goes by no rules.
type session struct {
	t     *testing.T
	conn  *tls.Conn
	in    *bufio.Reader
	user  string
	id    string
	inbox string
	asked int
	heard []message // that came besides
}

// message is one that came.
type message struct {
	subject string
	data    string
}

// begin comes in with a credential under a name.
func (e *enemy) begin(t *testing.T, c *trust.Credential, role, prefix, password string) *session {
	t.Helper()
	s := &session{t: t, id: named(t, c, prefix)}
	s.user, s.inbox = role+"."+s.id, gate.Inbox(s.id)+"."
	s.conn = e.secure(t, config(gate.Protocol, certificate(t, c)))
	if text, err := connect(s.conn, s.user, password); text != "PONG\r\n" {
		t.Fatalf("%s did not come in: %q, %v", s.user, text, err)
	}
	s.in = bufio.NewReader(s.conn)
	s.say("SUB " + s.inbox + "> 1\r\n")
	return s
}

// say sends lines, and returns the errors that the engine answers with.
func (s *session) say(lines string) (refused []string) {
	s.t.Helper()
	if _, err := io.WriteString(s.conn, lines+"PING\r\n"); err != nil {
		s.t.Fatalf("%.100q: %v", lines, err)
	}
	for {
		line, err := s.line()
		switch {
		case err != nil:
			s.t.Fatalf("%s, after %.200q: %v", s.user, lines, err)
		case line == "PONG":
			return refused
		case strings.HasPrefix(line, "-ERR "):
			refused = append(refused, line)
		}
	}
}

// cut sends lines for which the connection has to be ended, and returns the last words.
func (s *session) cut(lines string) (told string) {
	s.t.Helper()
	// It may be ended while this is sent.
	_, _ = io.WriteString(s.conn, lines+"PING\r\n")
	for {
		line, err := s.line()
		switch {
		case err != nil && told == "" && !errors.Is(err, io.EOF):
			return err.Error() // its last words got lost with what it had not read
		case err != nil:
			return told
		case line == "PONG":
			s.t.Errorf("%s said %.200q, and it goes on", s.user, lines)
			return ""
		case strings.HasPrefix(line, "-ERR"):
			told = line
		}
	}
}

// line reads a line; messages are kept.
func (s *session) line() (string, error) {
	line, err := s.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	words := strings.Fields(line)
	if len(words) == 0 || words[0] != "MSG" && words[0] != "HMSG" {
		return line, nil
	}
	size, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		return "", err
	}
	data := make([]byte, size+2)
	if _, err := io.ReadFull(s.in, data); err != nil {
		return "", err
	}
	s.heard = append(s.heard, message{words[1], string(data[:size])})
	return words[0], nil
}

// pub is a message as a line.
func pub(subject, reply string, data []byte) string {
	if reply != "" {
		reply += " "
	}
	return fmt.Sprintf("PUB %s %s%d\r\n%s\r\n", subject, reply, len(data), data)
}

// ask sends a request and waits for its answer.
func (s *session) ask(subject string, data []byte) string {
	s.t.Helper()
	s.asked++
	reply := fmt.Sprintf("%sask%d", s.inbox, s.asked)
	refused := s.say(pub(subject, reply, data))
	if len(refused) > 0 {
		s.t.Fatalf("%s: %q", subject, refused)
	}
	return s.wait(reply).data
}

// wait waits for a message at a subject.
func (s *session) wait(subject string) message {
	s.t.Helper()
	for {
		for i, m := range s.heard {
			if m.subject == subject {
				s.heard = append(s.heard[:i], s.heard[i+1:]...)
				return m
			}
		}
		if line, err := s.line(); err != nil {
			s.t.Fatalf("wait for %s: %v", subject, err)
		} else if strings.HasPrefix(line, "-ERR") {
			s.t.Fatalf("wait for %s: %s", subject, line)
		}
	}
}

// Subjects of messages, as the engine knows them.
const messages = "hydra.m."

// hello says hello as a client, and hears the server's orders from then on.
func (s *session) hello(apps ...wire.AppID) {
	s.t.Helper()
	s.say("SUB " + messages + wire.SubjectOrder(ledger.ClientID(s.id)) + " 2\r\n")
	s.ask(messages+wire.SubjectHello(ledger.ClientID(s.id)), ledger.Encode(wire.Hello{Client: ledger.ClientID(s.id), Host: "enemy", Apps: apps}))
}

// beat says that it lives, and works on jobs.
func (s *session) beat(jobs ...string) {
	s.t.Helper()
	b := wire.Beat{Hello: wire.Hello{Client: ledger.ClientID(s.id), Host: "enemy"}}
	for _, job := range jobs {
		b.Sessions = append(b.Sessions, wire.Pulse{Job: job, Session: ledger.SessionID(s.id + ".x")})
	}
	if refused := s.say(pub(messages+wire.SubjectBeat(ledger.ClientID(s.id)), "", ledger.Encode(b))); len(refused) > 0 {
		s.t.Fatal(refused)
	}
}

// order waits for the next order that has a ticket.
func (s *session) order() wire.Order {
	s.t.Helper()
	for {
		var o wire.Order
		if err := ledger.Decode([]byte(s.wait(messages+wire.SubjectOrder(ledger.ClientID(s.id))).data), &o); err != nil {
			s.t.Fatal(err)
		}
		if o.Ticket != "" {
			return o
		}
	}
}

// ticketed is a connection with a ticket for a job, which the server gives to a client
// that claims to work on it. The client is that of hint.
func (e *enemy) ticketed(t *testing.T, c *trust.Credential, prefix, job string) (at *session, ticket string) {
	t.Helper()
	hint := e.begin(t, c, "client", prefix, "")
	hint.hello()
	hint.beat(job)
	o := hint.order()
	if o.Job != job {
		t.Fatalf("a ticket for %s, and not for %s", o.Job, job)
	}
	return e.begin(t, c, "job", prefix, o.Ticket), o.Ticket
}

// tableID is what stands in the subjects of a job's table.
func (s *session) tableID(job string) string {
	s.t.Helper()
	var info struct {
		Config struct {
			Metadata map[string]string `json:"metadata"`
		} `json:"config"`
	}
	if err := json.Unmarshal([]byte(s.ask("$JS.API.STREAM.INFO."+stream(job), nil)), &info); err != nil {
		s.t.Fatal(err)
	}
	id := info.Config.Metadata["hydra_id"]
	if id == "" {
		s.t.Fatalf("the table of job %s has no ID", job)
	}
	return id
}

func stream(job string) string { return "HYDRA_" + wire.Table(job) }

// key is the subject of a value.
func key(job, table, key string) string {
	return "hydra.t." + wire.Table(job) + "." + table + ".v." + key
}

// bus is a connection of our own kind with the rights of a session that has begun.
func (e *enemy) bus(t *testing.T, c *trust.Credential, user, password string) bus.Bus {
	t.Helper()
	b, err := natsbus.Connect(t.Context(), natsbus.Options{
		URL: "nats://" + e.relay(t), User: user, Password: password, AskToSweep: true,
		TLS: config(gate.Protocol, certificate(t, c)), Inbox: gate.Inbox(user[strings.IndexByte(user, '.')+1:]),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// denies makes sure that the engine refuses each of what is said, a line each.
func (s *session) denies(lines ...string) {
	s.t.Helper()
	// The engine stops to tell after some for the same subject; so one by one.
	for _, line := range lines {
		if refused := s.say(line); len(refused) != 1 || !strings.Contains(refused[0], "Permissions Violation") {
			s.t.Errorf("%s said %.120q and was told %q", s.user, line, refused)
		}
	}
}
