package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
)

// doors are the ways to the tables of jobs: a connection for each job, which can reach
// nothing else, or where tickets are not needed the client's own for all. Any goroutine
// may use them.
type doors struct {
	own  bus.Bus
	dial func(ctx context.Context, ticket func() string) (bus.Bus, error)

	mu     sync.Mutex
	of     map[string]*door
	closed bool
}

// door is the way to one job's table.
type door struct {
	ticket string
	taken  time.Time
	users  int
	bus    bus.Bus // nil: nobody uses it

	dialing sync.Mutex // held while bus is made or closed
}

func (d *doors) init(own bus.Bus, dial func(context.Context, func() string) (bus.Bus, error)) {
	d.own, d.dial, d.of = own, dial, map[string]*door{}
}

// keepTicket is how long one is kept of a job that we have nothing to do with.
const keepTicket = time.Hour

// take takes a ticket that the server gave.
func (d *doors) take(job, ticket string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for job, at := range d.of {
		if at.users == 0 && time.Since(at.taken) > keepTicket {
			delete(d.of, job)
		}
	}
	at := d.of[job]
	if at == nil {
		at = new(door)
		d.of[job] = at
	}
	at.ticket, at.taken = ticket, time.Now()
}

var errNoTicket = errors.New("the server gave no ticket for the job")

// enter returns the connection for a job. Who is done with it calls leave.
func (d *doors) enter(ctx context.Context, job string) (bus.Bus, error) {
	if d.dial == nil {
		return d.own, nil
	}
	d.mu.Lock()
	at := d.of[job]
	if at == nil {
		d.mu.Unlock()
		return nil, errNoTicket
	}
	at.users++
	d.mu.Unlock()
	at.dialing.Lock()
	defer at.dialing.Unlock()
	d.mu.Lock()
	closed := d.closed
	d.mu.Unlock()
	if closed {
		return nil, bus.ErrClosed
	}
	if at.bus != nil {
		return at.bus, nil
	}
	b, err := d.dial(ctx, func() string {
		d.mu.Lock()
		defer d.mu.Unlock()
		return at.ticket
	})
	if err != nil {
		d.mu.Lock()
		at.users--
		d.mu.Unlock()
		return nil, err
	}
	at.bus = b
	return b, nil
}

// leave ends one use of the connection for a job.
func (d *doors) leave(job string) {
	if d.dial == nil {
		return
	}
	d.mu.Lock()
	at := d.of[job]
	if at == nil {
		d.mu.Unlock()
		return // closed
	}
	at.users--
	d.mu.Unlock()
	at.dialing.Lock()
	defer at.dialing.Unlock()
	d.mu.Lock()
	unused := at.users == 0
	d.mu.Unlock()
	if unused && at.bus != nil {
		_ = at.bus.Close() // what it did is done
		at.bus = nil
	}
}

// close ends all connections; sessions that were given up may still have one.
func (d *doors) close() {
	d.mu.Lock()
	all := d.of
	d.of, d.closed = map[string]*door{}, true
	d.mu.Unlock()
	for _, at := range all {
		at.dialing.Lock()
		if at.bus != nil {
			_ = at.bus.Close()
			at.bus = nil
		}
		at.dialing.Unlock()
	}
}
