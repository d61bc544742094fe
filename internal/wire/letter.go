package wire

import (
	"fmt"
	"time"

	"github.com/hydrawalk/hydra/internal/ledger"
)

// Keys of an application's own messages, which are called letters here to keep them
// apart from the messages that may get lost. A letter is written once. Whoever it is
// for watches one prefix, so that what one sender wrote comes in its order.
const (
	PrefixToServer  = "m.s."
	PrefixToUser    = "m.u."
	PrefixToClients = "m.c."    // and to their workers: then "all" or the client's name
	KeyLetters      = "m.n"     // how many letters may be there: see package post
	PrefixAttached  = "a."      // what phases added to the result, by name
	KeyClaim        = "claim.s" // Claim: which server runs the application's hooks
)

// Limits of letters.
const (
	MaxLetter  = 32 << 10 // bytes of its data
	MaxLetters = 100_000  // that are kept of a job
)

// Role is a kind of party.
type Role string

// The parties of a job.
const (
	RoleServer  Role = "server"
	RoleUser    Role = "user"
	RoleClients Role = "clients"
	RoleWorkers Role = "workers"
)

// Address is who a letter is for, or who wrote it.
type Address struct {
	Role   Role
	Client ledger.ClientID // of clients and workers: only this one, or that of this one; "": all
}

// Letter is a message of an application.
type Letter struct {
	Topic    string
	From, To Address
	Sender   string // one that begins anew has another name
	N        uint64 // numbers the letters of a sender, from 1
	At       time.Time
	Data     []byte // JSON
}

// KeyLetter is the key of a letter.
func KeyLetter(l *Letter) string {
	prefix := PrefixToServer
	switch l.To.Role {
	case RoleUser:
		prefix = PrefixToUser
	case RoleClients, RoleWorkers:
		to := string(l.To.Client)
		if to == "" {
			to = "all"
		}
		prefix = PrefixToClients + to + "."
	}
	return fmt.Sprintf("%s%s.%d", prefix, l.Sender, l.N)
}

// Claim says which server runs the hooks of a job. It is renewed: one that is not any
// more may be taken over.
type Claim struct {
	Server string // "": given up
	N      uint64
}
