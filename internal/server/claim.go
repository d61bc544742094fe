package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// Times of claims. Who has one gives it up before anybody else takes it over, by
// whatever clock: both measure from writes that they saw.
const (
	claimEvery = time.Second     // it is renewed
	claimGiven = 4 * time.Second // after the last renewal its holder has it no more
	claimTaken = 6 * time.Second // after it was seen to be renewed others may take it
	claimLook  = 250 * time.Millisecond
)

// claim is the claim of a job as one server sees it.
type claim struct {
	table  bus.Table
	server string
	n      uint64 // of our writes

	rev  uint64    // what was seen last
	seen time.Time // when that was seen first
	good time.Time // when the last renewal began that was written
}

// seize takes the claim if nobody has it.
func (c *claim) seize(ctx context.Context) bool {
	v, err := c.table.Get(ctx, wire.KeyClaim)
	if err != nil && !errors.Is(err, bus.ErrNoKey) {
		return false
	}
	var has wire.Claim
	if err == nil && wire.Read(&v, &has) != nil {
		return false // of another version
	}
	if v.Rev != c.rev {
		c.rev, c.seen = v.Rev, time.Now() // it was written before that
	}
	if has.Server == c.server {
		// A write of ours of which we did not know, or one of before we gave up.
		return c.write(ctx, c.server)
	}
	if has.Server != "" && time.Since(c.seen) < claimTaken {
		return false
	}
	return c.write(ctx, c.server)
}

// write writes the claim in place of what was seen last.
func (c *claim) write(ctx context.Context, server string) bool {
	began := time.Now()
	c.n++
	rev, err := c.table.Put(ctx, wire.KeyClaim, ledger.Encode(wire.Claim{Server: server, N: c.n}), c.rev)
	if err != nil {
		return false
	}
	c.rev, c.seen, c.good = rev, time.Now(), began
	return true
}

// hold calls f, and renews the claim until f returns, it is lost, or ctx is
// cancelled. Then it is given up.
func (c *claim) hold(ctx context.Context, f func(context.Context)) {
	held, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		f(held)
	})
	lost := false
	for held.Err() == nil && !lost {
		pause(held, claimEvery)
		lost = !c.renew(held)
	}
	cancel()
	wg.Wait()
	if lost {
		return
	}
	// Others need not wait.
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), claimEvery)
	defer done()
	c.write(ctx, "")
}

// renew renews the claim. False: it is lost.
func (c *claim) renew(ctx context.Context) bool {
	ctx, cancel := context.WithDeadline(ctx, c.good.Add(claimGiven))
	defer cancel()
	for !c.write(ctx, c.server) {
		// Somebody took it, or a write of ours was done that we were not told of.
		v, err := c.table.Get(ctx, wire.KeyClaim)
		var has wire.Claim
		if err == nil && (wire.Read(&v, &has) != nil || has.Server != c.server) {
			return false
		}
		if err == nil {
			c.rev = v.Rev
		}
		if errors.Is(err, bus.ErrNoTable) || errors.Is(err, bus.ErrNoKey) || time.Since(c.good) >= claimGiven {
			return false
		}
		if ctx.Err() != nil {
			return time.Since(c.good) < claimGiven // f has ended, or we have
		}
		pause(ctx, claimLook)
	}
	return true
}
