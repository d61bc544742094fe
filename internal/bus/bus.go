// Package bus is what jobs need of an engine: durable tables, and messages that
// may get lost.
//
// The truth about a job is in a table: a key for each writer, each value the whole
// state of that writer, replaced by compare-and-set. A message is a hint to look
// there; who never gets one is slower, and not wrong.
package bus

import (
	"context"
	"errors"
)

// Limits, the same for every engine.
const (
	MaxValue   = 256 << 20 // bytes of a value in a table
	MaxMessage = 48 << 10  // bytes of a message that every engine takes
)

// Errors are compared with errors.Is; those that are returned also say the
// operation, what it was about and the cause.
var (
	ErrExists      = errors.New("the table exists")
	ErrNoTable     = errors.New("no such table") // also: it was dropped, or made again, or lost what had been written
	ErrNoKey       = errors.New("no such key")
	ErrConflict    = errors.New("the value was changed by someone else") // surely not written
	ErrUnknown     = errors.New("unknown outcome")                       // it may or may not have been done, or may be done yet
	ErrNoResponder = errors.New("nobody is there to answer")
	ErrFull        = errors.New("the engine has no space left") // of writes also ErrUnknown
	ErrTooLarge    = errors.New("too large for the engine")     // surely not written
	ErrName        = errors.New("not a valid name")             // of a table, key, prefix or subject
	ErrUnreachable = errors.New("the server can not be reached")
	ErrDamaged     = errors.New("the stored value is damaged")       // nobody of us wrote it, or the disk lost some of it
	ErrRevoked     = errors.New("the credential was revoked")        // also ErrAuth
	ErrAuth        = errors.New("the server refuses the credential") // of a call: surely not done
	ErrClosed      = errors.New("the connection is closed")
)

// A Bus is a connection to an engine. All methods may be called by any goroutine.
//
// While the engine is out of reach it is tried again for ever. Calls that have a
// context wait for it, and end with the context's error; those that change
// something with ErrUnknown as well, and they may give up before. A context without
// a deadline waits for ever. After Close all return ErrClosed.
type Bus interface {
	// Create makes a table and returns when that is durable. ErrExists if there
	// is one of that name; of several who create it at once, one succeeds.
	Create(ctx context.Context, table string) (Table, error)
	// Open finds a table; ErrNoTable.
	Open(ctx context.Context, table string) (Table, error)
	// Tables are the names of all, sorted.
	Tables(ctx context.Context) ([]string, error)
	// Drop removes a table and all in it; ErrNoTable.
	Drop(ctx context.Context, table string) error

	// Publish sends a message to whoever is subscribed now: at most once, and
	// in order for one publisher and subject. It does not wait. Nil promises
	// nothing: while the engine is out of reach messages are thrown away, for a
	// hint that is late is of no use. An error is of the caller's making:
	// ErrName, ErrTooLarge, ErrClosed.
	Publish(subject string, data []byte) error

	// Subscribe calls f for each message whose subject matches the pattern, one
	// at a time and in order. A message that finds too many others waiting for f
	// is lost. The subscription outlives a lost connection; what was published
	// meanwhile is lost. When Subscribe has returned nil, whatever is published
	// from then on is delivered, if the engine is in reach. f may call any
	// method, and owns the message.
	Subscribe(pattern string, f func(Msg)) (Subscription, error)

	// Request sends a message and returns the first answer; ErrNoResponder,
	// without waiting, where nobody is subscribed. The request or its answer may
	// get lost, so the context should have a deadline.
	Request(ctx context.Context, subject string, data []byte) ([]byte, error)

	// Connected tells whether the engine is in reach, and returns a channel that
	// is closed when that has changed since. Who waits for it asks again, and
	// looks at the tables: hints were lost.
	Connected() (bool, <-chan struct{})

	// Close ends watches and subscriptions and the connection. It waits for the
	// goroutines of this Bus, but not for a call of a subscriber's f that is
	// under way. A second Close does nothing.
	Close() error
}

// A Table is durable: it maps keys to values. It stays bound to the table that
// was created or opened: if that is dropped, all return ErrNoTable, though there be
// a new one of that name.
type Table interface {
	Name() string

	// Get returns the value of a key, or ErrNoKey. It sees every Put that
	// returned before Get was called, whoever made it.
	Get(ctx context.Context, key string) (Value, error)

	// Put replaces the value of a key if its revision is still rev, that which
	// the writer saw last; 0: there must be no value. It returns the new
	// revision, which is larger.
	//
	// Nil promises that the value is synced to disk, and will be seen by every
	// Get and Watch. ErrConflict, ErrTooLarge, ErrName and ErrNoTable promise
	// that it is not written, and never will be. With any other error, which is
	// ErrUnknown too, nobody knows, and it may be written yet: a Put of the same
	// revision that succeeds makes sure that it never will be; if it is a
	// conflict, Get tells.
	Put(ctx context.Context, key string, data []byte, rev uint64) (uint64, error)

	// Delete removes the value of a key, whatever its revision. Nil, as well if
	// there was none, promises what it does for Put.
	Delete(ctx context.Context, key string) error

	// List returns the values of all keys with a prefix, sorted by key: each one
	// as it was at some time during the call, and so what Put wrote before. The
	// prefix is "" or ends with a dot.
	List(ctx context.Context, prefix string) ([]Value, error)

	// Watch delivers all values with a prefix as they are now, then a mark, then
	// what changes, all in the order of their revisions: see Watch. It waits for
	// the engine; the context is for that, and for the life of the watch.
	Watch(ctx context.Context, prefix string) (Watch, error)
}

// A Value is what a key maps to. Who gets one owns its bytes.
type Value struct {
	Key     string // "": the mark of a watch, the rest is zero
	Data    []byte
	Rev     uint64 // larger than that of any value that the table had before
	Deleted bool   // only in a watch, after the mark: the key is gone
}

// A Watch is read by one goroutine, which may take its time: values that were
// replaced meanwhile are left out. The last value of each key comes for certain,
// also after a lost connection and a restart of the engine, and the revisions only
// grow, whatever the key: a value whose Put began after another one's had returned
// comes after that. A value may be left out before the mark that comes after
// it, if it changes meanwhile.
type Watch interface {
	// Updates is closed when the watch has ended.
	Updates() <-chan Value
	// Err tells why, after Updates is closed: nil after Stop, the context's
	// error, ErrClosed, or ErrNoTable if the table is gone, is another one, or
	// has lost what had been written.
	Err() error
	// Stop ends it, and returns when its goroutines are gone. It may be called
	// several times.
	Stop()
}

// A Msg is a message.
type Msg struct {
	Subject string
	Data    []byte
	// Reply sends the answer to a request; it is nil if none is waited for.
	// Like Publish, it does not wait and promises nothing.
	Reply func(data []byte) error
}

// A Subscription lasts until it is stopped, or the Bus closed.
type Subscription interface {
	// Stop ends it. It does not wait for a call of f that is under way, or about
	// to be, so that f may call it. Several calls are allowed.
	Stop()
}
