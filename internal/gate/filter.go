package gate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of the protocol.
const (
	mostLine = 4 << 10 // bytes of a line
	mostSubs = 1024    // subscriptions of one connection
)

// errProtocol is the error of what is no line of a client. See
// https://docs.nats.io/reference/reference-protocols/nats-protocol.
var errProtocol = errors.New("protocol error")

// forbidden is an error that the other side is told in words of its protocol.
type forbidden struct{ told string }

func (e *forbidden) Error() string { return e.told }

// filter lets through what a connection may say. Subjects are left to the engine, which
// knows the rights; here is what rights can not express:
//
//   - An answer is published by the engine itself, which may do all. So it must not be
//     wanted elsewhere than in the asker's own inbox: "send me what is stored here, to
//     the subject of that table" would be a write.
//   - For the same reason what reads a table is to be asked for each part, and never
//     pushes to a subject that it names itself.
//   - Headers make the engine do more than store a message. One is allowed, the
//     compare-and-set.
//   - What is too long, too much, or never comes to its end; and requests of somebody who
//     does not read the answers.
type filter struct {
	in   *bufio.Reader // of mostLine at least
	out  *bufio.Writer
	r    rights
	m    *member
	subs map[string]struct{}
	// begun and ended bracket what has to come in one go.
	begun, ended func()
	// heard waits until the other side has read what it was sent.
	heard func()
}

func newFilter(in *bufio.Reader, out *bufio.Writer, r rights, m *member) *filter {
	return &filter{
		in: in, out: out, r: r, m: m, subs: map[string]struct{}{},
		begun: func() {}, ended: func() {}, heard: func() {},
	}
}

// run lets lines through until one is not allowed, or there are no more.
func (f *filter) run(ctx context.Context) error {
	for {
		if f.in.Buffered() == 0 {
			if err := f.out.Flush(); err != nil {
				return err
			}
			if _, err := f.in.Peek(1); err != nil {
				return err
			}
		}
		f.begun()
		err := f.line(ctx)
		f.ended()
		if err != nil {
			return err
		}
	}
}

// readLine reads a line, without its end. It is valid until the next read.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull), err == nil && len(line) > mostLine:
		return nil, &forbidden{"Maximum Control Line Exceeded"}
	case errors.Is(err, io.EOF) && len(line) > 0:
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// line lets one line through, with its payload.
func (f *filter) line(ctx context.Context) error {
	line, err := readLine(f.in)
	if err != nil {
		return err
	}
	op, rest, _ := strings.Cut(string(line), " ")
	args := strings.Fields(rest)
	switch strings.ToUpper(op) {
	case "PING", "PONG":
		if len(args) > 0 {
			return errProtocol
		}
		return f.say(strings.ToUpper(op))
	case "SUB":
		return f.subscribe(args)
	case "UNSUB":
		return f.unsubscribe(args)
	case "PUB":
		return f.publish(ctx, args, false)
	case "HPUB":
		return f.publish(ctx, args, true)
	}
	return fmt.Errorf("%w: %.20q", errProtocol, op)
}

func (f *filter) say(words ...string) error {
	_, err := f.out.WriteString(strings.Join(words, " ") + "\r\n")
	return err
}

// plain tells whether words have nothing in them that somebody else could take for the
// end of a word or a line.
func plain(words ...string) bool {
	return !slices.ContainsFunc(words, func(s string) bool {
		return s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
	})
}

func (f *filter) subscribe(args []string) error {
	if len(args) < 2 || len(args) > 3 || !plain(args...) {
		return errProtocol
	}
	if len(f.subs) >= mostSubs {
		return &forbidden{"Maximum Subscriptions Exceeded"}
	}
	f.subs[args[len(args)-1]] = struct{}{}
	return f.say(append([]string{"SUB"}, args...)...)
}

func (f *filter) unsubscribe(args []string) error {
	if len(args) < 1 || len(args) > 2 || !plain(args...) {
		return errProtocol
	}
	if len(args) == 1 {
		delete(f.subs, args[0])
	} // else it lives until so many messages came, which may be never
	return f.say(append([]string{"UNSUB"}, args...)...)
}

// publish lets a message through: subject, perhaps where the answer is wanted, perhaps
// the size of the headers, the size of all.
func (f *filter) publish(ctx context.Context, args []string, headers bool) error {
	sizes := 1
	if headers {
		sizes = 2
	}
	if len(args) < 1+sizes || len(args) > 2+sizes {
		return errProtocol
	}
	if !plain(args...) {
		return errProtocol
	}
	subject, reply := args[0], ""
	if len(args) == 2+sizes {
		reply = args[1]
	}
	size, err := parseSize(args[len(args)-1])
	if err != nil {
		return err
	}
	head := 0
	if headers {
		if head, err = parseSize(args[len(args)-2]); err != nil || head > size {
			return errProtocol
		}
	}
	if size > f.r.message {
		return &forbidden{"Maximum Payload Violation"}
	}
	if reply != "" && !f.mine(reply) {
		return &forbidden{"Permissions Violation for Reply to " + strconv.Quote(reply)}
	}
	if strings.HasPrefix(subject, "hydra.m.") || strings.HasPrefix(subject, "hydra.sweep.") {
		if err := f.m.hints.Wait(ctx); err != nil {
			return err
		}
	}
	f.heard()
	f.begun() // it was not the other side that took so long
	payload := make([]byte, size+2)
	if _, err := io.ReadFull(f.in, payload); err != nil {
		return err
	}
	if !bytes.HasSuffix(payload, []byte("\r\n")) {
		return errProtocol
	}
	payload = payload[:size]
	if head > 0 {
		if err := checkHeaders(payload[:head]); err != nil {
			return err
		}
	}
	if call, ok := strings.CutPrefix(subject, "$JS.API.CONSUMER."); ok {
		if headers || reply == "" && !strings.HasPrefix(call, "DELETE.") {
			return errProtocol
		}
		if payload, err = f.consumer(ctx, call, payload); err != nil {
			return err
		}
	}
	words := []string{"PUB", subject}
	if headers {
		words[0] = "HPUB"
	}
	if reply != "" {
		words = append(words, reply)
	}
	if headers {
		words = append(words, strconv.Itoa(head))
	}
	if err := f.say(append(words, strconv.Itoa(len(payload)))...); err != nil {
		return err
	}
	if _, err := f.out.Write(payload); err != nil {
		return err
	}
	_, err = f.out.WriteString("\r\n")
	return err
}

// mine tells whether a subject is in the inbox of this connection, and only there.
func (f *filter) mine(reply string) bool {
	rest, ok := strings.CutPrefix(reply, f.r.inbox)
	return ok && plain(rest) && !strings.ContainsAny(rest, "*>")
}

func parseSize(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if errors.Is(err, strconv.ErrRange) {
		return 0, &forbidden{"Maximum Payload Violation"}
	}
	if err != nil {
		return 0, errProtocol
	}
	return int(n), nil
}

// allowedHeader is what a message may have besides its payload: the number that the last
// message of its subject has to have.
const allowedHeader = "Nats-Expected-Last-Subject-Sequence"

// checkHeaders wants the version, that header at most once, and an empty line.
func checkHeaders(head []byte) error {
	rest, ok := strings.CutPrefix(string(head), "NATS/1.0\r\n")
	if !ok {
		return errProtocol
	}
	if rest == "\r\n" {
		return nil
	}
	name, value, ok := strings.Cut(rest, ":")
	if !ok || name != allowedHeader {
		return &forbidden{fmt.Sprintf("Permissions Violation for Header %.60q", name)}
	}
	value, ok = strings.CutSuffix(strings.TrimLeft(value, " "), "\r\n\r\n")
	if _, err := strconv.ParseUint(value, 10, 64); err != nil || !ok {
		return errProtocol
	}
	return nil
}

// consumer is what may be said of a consumer that is to be made: what package natsbus
// says, and what the engine needs.
type consumer struct {
	Stream string `json:"stream_name"`
	Config struct {
		Name              string        `json:"name,omitempty"`
		DeliverPolicy     string        `json:"deliver_policy"`
		OptStartSeq       uint64        `json:"opt_start_seq,omitempty"`
		AckPolicy         string        `json:"ack_policy"`
		FilterSubject     string        `json:"filter_subject,omitempty"`
		ReplayPolicy      string        `json:"replay_policy"`
		InactiveThreshold time.Duration `json:"inactive_threshold,omitempty"`
		Replicas          int           `json:"num_replicas"`
		Memory            bool          `json:"mem_storage,omitempty"`
	} `json:"config"`
	Action string `json:"action,omitempty"`
}

// longestUnused is how long a consumer that nobody asks may stay.
const longestUnused = 5 * time.Minute

// consumer is what comes through of a call about consumers.
func (f *filter) consumer(ctx context.Context, call string, payload []byte) ([]byte, error) {
	switch {
	case strings.HasPrefix(call, "CREATE."):
		if err := f.m.creates.Wait(ctx); err != nil {
			return nil, err
		}
		return pullOnly(payload)
	case strings.HasPrefix(call, "MSG.NEXT."):
		return bounded(payload)
	}
	return payload, nil
}

// next is what is wanted of a consumer.
type next struct {
	Expires   time.Duration `json:"expires,omitempty"`
	Batch     int           `json:"batch,omitempty"`
	MaxBytes  int           `json:"max_bytes,omitempty"`
	NoWait    bool          `json:"no_wait,omitempty"`
	Heartbeat time.Duration `json:"idle_heartbeat,omitempty"`
}

// mostBytes is how much may be asked for at a time: it is in memory until it is read.
const mostBytes = 8 << 20

// bounded writes a wish for what a consumer has anew.
func bounded(payload []byte) ([]byte, error) {
	var n next
	if len(payload) > 0 {
		if err := json.Unmarshal(payload, &n); err != nil {
			return nil, errProtocol
		}
	}
	if n.MaxBytes <= 0 || n.MaxBytes > mostBytes {
		n.MaxBytes = mostBytes
	}
	return json.Marshal(&n)
}

// pullOnly writes a wish for a consumer anew, with nothing but what is known to be
// harmless, so that it does not matter how the engine reads what is not.
func pullOnly(payload []byte) ([]byte, error) {
	var c consumer
	if err := json.Unmarshal(payload, &c); err != nil {
		return nil, errProtocol
	}
	c.Config.AckPolicy, c.Config.Memory, c.Config.Replicas = "none", true, 1
	if c.Config.InactiveThreshold <= 0 || c.Config.InactiveThreshold > longestUnused {
		c.Config.InactiveThreshold = longestUnused
	}
	return json.Marshal(&c)
}
