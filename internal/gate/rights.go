package gate

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/internal/natsd"
	"github.com/hydrawalk/hydra/internal/trust"
)

// rights are what a connection may say and hear.
type rights struct {
	natsd.Rights
	inbox   string // what answers have to begin with
	message int    // the longest in bytes
}

// Limits of messages.
const (
	longHint  = 64 << 10 // more than bus.MaxMessage, with headers
	longValue = 1<<20 + 64<<10
)

// answerTime is how long somebody who is asked may take.
const answerTime = 30 * time.Second

// A name that a connection gives itself: the role that it wants to have, and an ID
// that ends with that of its identity. What comes before tells its connections apart.
var named = regexp.MustCompile(`^(admin|operator|viewer|client|job)\.([a-z0-9]{1,32}-[a-z0-9]{1,64})$`)

// NewID makes up an ID for connections of an identity.
func NewID(identity string) string { return randomText()[:8] + "-" + identity }

// Name is how a connection is to call itself.
func Name(as trust.Role, id string) string { return string(as) + "." + id }

// JobName is how a client is to call itself that has a ticket for a job.
func JobName(client string) string { return Name(job, client) }

// parse reads such a name.
func parse(name string) (as trust.Role, id, identity string, ok bool) {
	m := named.FindStringSubmatch(name)
	if m == nil {
		return "", "", "", false
	}
	_, identity, _ = strings.Cut(m[2], "-")
	return trust.Role(m[1]), m[2], identity, true
}

// Inbox is where the answers to a connection come: its own place, for all that others
// hear is theirs.
func Inbox(id string) string { return "_INBOX." + id }

// of is what somebody with a role may do.
func of(as trust.Role, id string) rights {
	r := rights{inbox: Inbox(id) + ".", message: longHint}
	r.Subscribe = []string{r.inbox + ">"}
	hint := func(format string, v ...any) string { return "hydra.m.hydra." + fmt.Sprintf(format, v...) }
	switch as {
	case trust.Client:
		r.Answer = answerTime
		r.Publish = []string{hint("hello.%s", id), hint("beat.%s", id), hint("sight.%s", id), hint("logs.%s", id)}
		r.Subscribe = append(r.Subscribe, hint("order.%s", id), hint("peer.%s", id))
	case trust.Viewer, trust.Operator, trust.Admin:
		r.Publish = append(reads("*"), hint("ask.%s.%s", as, id), hint("peer.*"))
		r.Subscribe = append(r.Subscribe, hint("news.*"))
		if as == trust.Viewer {
			break
		}
		r.message = longValue
		// Messages to an application's parts, and to forget output that was read.
		for _, key := range []string{"m.>", "o.>"} {
			r.Publish = append(r.Publish, writes("*", key)...)
		}
	}
	return r
}

// ofJob is what a client may do that has a ticket for a job.
func ofJob(client, name string) rights {
	table := "job_" + name
	r := rights{inbox: Inbox(client) + ".", message: longValue}
	r.Subscribe = []string{r.inbox + ">"}
	r.Publish = reads("HYDRA_" + table)
	// Its own record and what that names, and its letters.
	for _, key := range []string{"l.s.", "d.", "e.", "x.", "o.", "m.s.", "m.u.", "m.c.*.", "m.c."} {
		r.Publish = append(r.Publish, writes(table, key+client+".>")...)
	}
	r.Publish = append(r.Publish, writes(table, "m.n")...) // how many letters there are
	return r
}

// reads are the subjects of who reads a stream, or all.
func reads(stream string) []string {
	var s []string
	for _, call := range []string{
		"STREAM.INFO.%s", "STREAM.MSG.GET.%s", "DIRECT.GET.%s.>",
		"CONSUMER.CREATE.%s.>", "CONSUMER.INFO.%s.*", "CONSUMER.MSG.NEXT.%s.*", "CONSUMER.DELETE.%s.*",
	} {
		s = append(s, "$JS.API."+fmt.Sprintf(call, stream))
	}
	return s
}

// writes are the subjects of who writes keys of a table: values, their parts, and the
// wish that old parts be deleted.
func writes(table, key string) []string {
	part := key
	if !strings.HasSuffix(key, ">") {
		part += ".>"
	}
	return []string{
		"hydra.t." + table + ".*.v." + key,
		"hydra.t." + table + ".*.p." + part,
		"hydra.sweep." + table + ".*." + key,
	}
}
