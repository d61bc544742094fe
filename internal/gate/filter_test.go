package gate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/hydrawalk/hydra/internal/trust"
)

// through lets lines through the filter of a client with a ticket for the job j.
func through(in string) (out string, err error) {
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	f := newFilter(bufio.NewReaderSize(strings.NewReader(in), bufferSize), w, ofJob("c-id", "j"), newMember(Local))
	for err == nil {
		err = f.line(context.Background())
	}
	w.Flush()
	return b.String(), err
}

func TestWhatAClientSaysComesThroughAsItIs(t *testing.T) {
	head := "NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: 7\r\n\r\n"
	for _, in := range []string{
		"PING\r\n", "PONG\r\n",
		"SUB _INBOX.c-id.* 1\r\n", "SUB a q 2\r\nUNSUB 2\r\n", "UNSUB 2 1\r\n",
		"PUB a 0\r\n\r\n", "PUB a 5\r\nhello\r\n", "PUB a 2\r\n\r\n\r\n",
		"PUB a _INBOX.c-id.x.y 5\r\nPUB b\r\n",
		fmt.Sprintf("HPUB a _INBOX.c-id.x %d %d\r\n%sdata\r\n", len(head), len(head)+4, head),
		fmt.Sprintf("PUB a %d\r\n%s\r\n", longValue, strings.Repeat("x", longValue)),
	} {
		out, err := through(in)
		if out != in || !errors.Is(err, io.EOF) {
			t.Errorf("%.60q became %.60q, %v", in, out, err)
		}
	}
	// Case and spaces are not what matters.
	if out, _ := through("pub  a\t 1 \r\nx\r\nping\n"); out != "PUB a 1\r\nx\r\nPING\r\n" {
		t.Errorf("%q", out)
	}
}

func TestWhatIsNotAllowedDoesNotComeThrough(t *testing.T) {
	header := func(lines string) string {
		head := "NATS/1.0\r\n" + lines + "\r\n"
		return fmt.Sprintf("HPUB a %d %d\r\n%s\r\n", len(head), len(head), head)
	}
	for in, told := range map[string]string{
		"GET / HTTP/1.1\r\n":  "",
		"CONNECT {}\r\n":      "", // once is enough
		"INFO {}\r\n":         "",
		"MSG a 1 0\r\n\r\n":   "",
		"\r\n":                "",
		"PUB\r\n":             "",
		"PUB a\r\n":           "",
		"PUB a b c d\r\n":     "",
		"PUB a -1\r\n":        "",
		"PUB a 1x\r\n":        "",
		"PUB a 3\r\nab\r\n\n": "", // not as long as it says
		"SUB a\r\n":           "",
		"SUB a\x00b 1\r\n":    "",
		"UNSUB\r\n":           "",
		"HPUB a 9 5\r\n":      "",

		"PUB a 4294967296\r\n":                                                   "Maximum Payload",
		"PUB a 99999999999999999999999\r\n":                                      "Maximum Payload",
		fmt.Sprintf("PUB a %d\r\n", longValue+1):                                 "Maximum Payload",
		"PUB " + strings.Repeat("a", mostLine) + " 0\r\n":                        "Maximum Control Line",
		strings.Repeat("x", 2*bufferSize):                                        "Maximum Control Line",
		"PUB $JS.API.DIRECT.GET.x hydra.t.x.y 0\r\n":                             "Reply",
		"PUB a _INBOX.d-id.x 0\r\n\r\n":                                          "Reply",
		"PUB a _INBOX.c-id 0\r\n\r\n":                                            "Reply",
		"PUB a _INBOX.c-id. 0\r\n\r\n":                                           "Reply",
		"PUB a _INBOX.c-id.> 0\r\n\r\n":                                          "Reply",
		"HPUB a $JS.API.STREAM.DELETE.x 12 12\r\n":                               "Reply",
		header("Nats-Trace-Dest: hydra.m.hydra.ask\r\n"):                         "Header",
		header("Nats-Rollup: sub\r\n"):                                           "Header",
		header("Nats-Expected-Last-Subject-Sequence: 1\r\nNats-Rollup: all\r\n"): "",
		header("Nats-Expected-Last-Subject-Sequence: x\r\n"):                     "",
		header("nats-expected-last-subject-sequence: 1\r\n"):                     "Header",
	} {
		out, err := through(in)
		no, _ := errors.AsType[*forbidden](err)
		switch {
		case out != "":
			t.Errorf("%.80q came through as %.80q", in, out)
		case told == "" && !errors.Is(err, errProtocol), told != "" && (no == nil || !strings.Contains(no.told, told)):
			t.Errorf("%.80q: %v, want %q", in, err, told)
		}
	}
	subs := strings.Repeat("SUB a 1\r\n", 1) // the same number again is the same one
	for n := range mostSubs {
		subs += fmt.Sprintf("SUB a %d\r\n", n+2)
	}
	if _, err := through(subs); err == nil || !strings.Contains(err.Error(), "Subscriptions") {
		t.Errorf("%d subscriptions: %v", mostSubs+1, err)
	}
}

// TestAConsumerNeverPushes has one made that would write what is stored to another
// subject, by the engine, which may do all.
func TestAConsumerNeverPushes(t *testing.T) {
	for _, wish := range []string{
		`{"stream_name":"S","config":{"deliver_subject":"hydra.t.x","filter_subject":"f","inactive_threshold":99999999999999}}`,
		`{"stream_name":"S","config":{"DELIVER_SUBJECT":"hydra.t.x","Filter_Subject":"f"}}`,
		`{"stream_name":"S","config":{"deliver_subject":"a","deliver_subject":"hydra.t.x","filter_subject":"f","num_replicas":5,"mem_storage":false,"durable_name":"d","backoff":[1]}}`,
	} {
		out, err := through(fmt.Sprintf("PUB $JS.API.CONSUMER.CREATE.S.n.f _INBOX.c-id.x %d\r\n%s\r\n", len(wish), wish))
		want := `{"stream_name":"S","config":{"deliver_policy":"","ack_policy":"none","filter_subject":"f","replay_policy":"","inactive_threshold":300000000000,"num_replicas":1,"mem_storage":true}}`
		want = fmt.Sprintf("PUB $JS.API.CONSUMER.CREATE.S.n.f _INBOX.c-id.x %d\r\n%s\r\n", len(want), want)
		if out != want || !errors.Is(err, io.EOF) {
			t.Errorf("%s became %q, %v", wish, out, err)
		}
	}
	for _, in := range []string{
		"PUB $JS.API.CONSUMER.CREATE.S.n 2\r\n{}\r\n",
		"PUB $JS.API.CONSUMER.CREATE.S.n _INBOX.c-id.x 1\r\n{\r\n",
		"HPUB $JS.API.CONSUMER.CREATE.S.n _INBOX.c-id.x 12 14\r\nNATS/1.0\r\n\r\n{}\r\n",
	} {
		if out, err := through(in); out != "" || !errors.Is(err, errProtocol) {
			t.Errorf("%q became %q, %v", in, out, err)
		}
	}
}

func TestANameSaysRoleAndIdentity(t *testing.T) {
	as, id, who, ok := parse(Name(trust.Viewer, "x1-abc234"))
	if as != trust.Viewer || id != "x1-abc234" || who != "abc234" || !ok {
		t.Error(as, id, who, ok)
	}
	for _, bad := range []string{"", "client", "client.", "client.a", "client.a-", "root.a-b", "client.a-b.c", "client.a-b-c", "client.A-b", "client.*-b", "client.a->", " client.a-b", "client.a-b\n"} {
		if _, _, _, ok := parse(bad); ok {
			t.Errorf("%q is a name", bad)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, in := range []string{
		"PUB a _INBOX.c-id.x 5\r\nhello\r\nPING\r\n", "HPUB a 12 14\r\nNATS/1.0\r\n\r\n{}\r\n",
		"SUB a 1\r\nUNSUB 1\r\n", `PUB $JS.API.CONSUMER.CREATE.S.n _INBOX.c-id.x 2` + "\r\n{}\r\n", "PUB a 4294967296\r\n", "pub\ta\v1\r\nx\r\n",
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := through(string(in))
		if err == nil {
			t.Fatal("it went on for ever")
		}
		// What came through comes through again, as it is.
		again, err := through(out)
		if again != out || !errors.Is(err, io.EOF) {
			t.Fatalf("%q became %q and then %q, %v", in, out, again, err)
		}
	})
}
