package gate

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/internal/trust"
)

// Tickets are for clients that work on a job: each is good for one client, one job and
// a short time. They are signed with a key of this process, and kept nowhere.
type Tickets struct {
	key  [32]byte
	life time.Duration
}

// TicketTime is how long a ticket is good; a connection that was made with it ends then.
// Whoever hands tickets out does so again in half of that.
const TicketTime = 10 * time.Minute

// NewTickets makes tickets that are good for so long.
func NewTickets(life time.Duration) *Tickets {
	t := &Tickets{life: life}
	rand.Read(t.key[:])
	return t
}

// ticket is what is signed.
type ticket struct {
	Client string
	Job    string
	Until  time.Time
}

// Life is how long a ticket is good.
func (t *Tickets) Life() time.Duration { return t.life }

// Issue makes one.
func (t *Tickets) Issue(client, job string) string {
	text, err := json.Marshal(ticket{client, job, time.Now().Add(t.life)})
	if err != nil {
		panic(err) // two texts and a time
	}
	e := base64.RawURLEncoding
	return e.EncodeToString(text) + "." + e.EncodeToString(t.sign(text))
}

func (t *Tickets) sign(text []byte) []byte {
	mac := hmac.New(sha256.New, t.key[:])
	mac.Write(text)
	return mac.Sum(nil)
}

var errTicket = errors.New("not a ticket of this server")

// rights are those that a client has by its ticket.
func (t *Tickets) rights(client, given string) (rights, error) {
	if t == nil {
		return rights{}, errTicket
	}
	body, sum, ok := strings.Cut(given, ".")
	e := base64.RawURLEncoding.Strict()
	text, err := e.DecodeString(body)
	signature, sumErr := e.DecodeString(sum)
	if !ok || err != nil || sumErr != nil || !hmac.Equal(signature, t.sign(text)) {
		return rights{}, errTicket
	}
	var is ticket
	if err := json.Unmarshal(text, &is); err != nil {
		return rights{}, errTicket
	}
	switch {
	case is.Client != client:
		return rights{}, fmt.Errorf("the ticket is one of %s", is.Client)
	case !time.Now().Before(is.Until):
		return rights{}, fmt.Errorf("the ticket for job %s: %w", is.Job, trust.ErrExpired)
	}
	r := ofJob(client, is.Job)
	r.Until = is.Until
	return r, nil
}
