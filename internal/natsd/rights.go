package natsd

import (
	"crypto/subtle"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Rights are what a connection may do. Subjects are those of NATS, with its wildcards.
type Rights struct {
	Publish, Subscribe []string
	// Answer allows one answer to each request that it gets, for so long.
	Answer time.Duration
	// Until is when the connection is ended; zero: never.
	Until time.Time
}

// logins decides who may connect.
type logins struct{ o Options }

// Check implements [server.Authentication].
func (l *logins) Check(c server.ClientAuthentication) bool {
	given := c.GetOpts()
	if equal(given.Username, l.o.User) && equal(given.Password, l.o.Password) {
		return true
	}
	r, ok := l.o.Login(given.Username, given.Password)
	if !ok {
		return false
	}
	p := &server.Permissions{
		// Nobody is meant: what is not allowed is forbidden.
		Publish:   &server.SubjectPermission{Allow: atLeastOne(r.Publish)},
		Subscribe: &server.SubjectPermission{Allow: atLeastOne(r.Subscribe)},
	}
	if r.Answer > 0 {
		p.Response = &server.ResponsePermission{MaxMsgs: 1, Expires: r.Answer}
	}
	c.RegisterUser(&server.User{Username: given.Username, Permissions: p, ConnectionDeadline: r.Until})
	return true
}

func equal(a, b string) bool { return b != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// atLeastOne is subjects, or one that nobody uses: an empty list would allow all.
func atLeastOne(subjects []string) []string {
	if len(subjects) == 0 {
		return []string{"hydra.nothing"}
	}
	return subjects
}
