package client

import (
	"context"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/joblog"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// App is an application that a client has.
type App interface {
	ID() wire.AppID
	// Begin begins a session of a job. An error says that this client can not
	// work on it.
	Begin(spec *wire.Spec, where Where) (Task, error)
}

// Where says where a session is.
type Where struct {
	Client ledger.ClientID
	Host   string
	Log    *joblog.Log // of the job
}

// Task is what an application does in one session.
type Task interface {
	// Options are those of the walk that the job asks for.
	Options() walk.Options
	NewHandler(ctx context.Context, worker int) (walk.Handler, error)
	// Cut adds what a worker counted since its last cut to an epoch. It is called
	// on the worker's goroutine, after its handler's Flush.
	Cut(worker int, epoch uint64) error
	// Sum ends an epoch that all workers have cut. It returns what was counted in
	// it, nil if that is nothing, or all since the session began if whole is set;
	// and the lines of the list of errors that are new, nil if there are none or
	// they are not wanted.
	Sum(epoch uint64, whole bool) (sum, errors []byte, err error)
	// Update sets other settings, which the application has checked. Each worker
	// takes them over in its next Between, those that are made later have them.
	Update(settings []byte) error
	// Between is called on a worker's goroutine between two entries after there was
	// an Update.
	Between(worker int) error
	// Close is called once when the session has ended. Of one that was given up,
	// workers may still hang in the file system. It does not wait.
	Close()
}

// Mannered is a Task whose workers wait for something else than the file system.
type Mannered interface {
	Task
	Manner() Manner
}

// Manner says how a session goes.
type Manner struct {
	Waits  bool          // the number of workers does not adapt: there are as many as processors
	Commit time.Duration // how often a record is written; 0: as for others
}

// Talker is a Task with messages of its own.
type Talker interface {
	Task
	// Talk is called once, before all other methods but Options.
	Talk(Seat)
	// Look is called on a worker's own goroutine, when it is in no call of its
	// handler, after Interject. An error fails the walk.
	Look(ctx context.Context, worker int) error
	// Hush is called when the session has ended. It does not wait for ever.
	Hush()
}

// Emitter is a Task with an output.
type Emitter interface {
	Task
	// Wake is called once, before all other methods but Options: wake is to be called when
	// Enough becomes true.
	Wake(wake func())
	// Enough says that so much was emitted that it is to be written down soon.
	Enough() bool
	// Output are the parts of the output that became certain with the last Sum, on whose
	// goroutine it is called.
	Output() [][]byte
	// Wrote says that parts of so many bytes were written down, or are lost with the session.
	Wrote(bytes int)
}

// Seat is what a Talker has for its messages.
type Seat struct {
	Table   bus.Table
	Client  ledger.ClientID
	Host    string
	Session ledger.SessionID
	// Interject makes workers look for messages.
	Interject func()
}
