package faultfs

import (
	"sync"
	"syscall"
	"time"
)

// Op is a request that the kernel makes.
type Op int

// The operations that rules and counters know.
const (
	Lookup  Op = iota // find a name in a directory: the first step of open and stat
	GetAttr           // read attributes, once the name was found
	OpenDir           // open a directory, once the name was found
	ReadDir           // read a part of its entries
	numOps
)

// Rule says what becomes of requests. Its parts are carried out in this order.
type Rule struct {
	// After is how much goes well before the rule acts: for ReadDir entries of
	// each listing, else requests.
	After int
	// Times is how often the rule acts; 0 is always.
	Times int
	// Delay is waited before the request goes on.
	Delay time.Duration
	// Hang blocks the request until it is released.
	Hang *Hang
	// Err is the answer; 0 answers as if there was no rule.
	Err syscall.Errno
}

// Hang blocks the requests of a [Rule].
//
// A caller that is interrupted by a signal gets EINTR and may come again: a
// program that is killed can end.
type Hang struct {
	reached, released chan struct{}
	reach, release    sync.Once
}

// NewHang returns a Hang that blocks.
func NewHang() *Hang {
	return &Hang{reached: make(chan struct{}), released: make(chan struct{})}
}

// Reached is closed when the first request hangs.
func (h *Hang) Reached() <-chan struct{} { return h.reached }

// Release lets all requests go on, also those that come later.
func (h *Hang) Release() { h.release.Do(func() { close(h.released) }) }

// wait returns EINTR if the caller gave up.
func (h *Hang) wait(cancel <-chan struct{}) syscall.Errno {
	h.reach.Do(func() { close(h.reached) })
	select {
	case <-h.released:
		return 0
	case <-cancel:
		return syscall.EINTR
	}
}

// Counts is how many requests the kernel made.
type Counts struct{ Lookup, GetAttr, OpenDir, ReadDir int64 }

// rules holds what was said about which path, and counts the requests.
type rules struct {
	mu    sync.Mutex
	set   map[place]*Rule
	count [numOps]int64
	hangs []*Hang
}

type place struct {
	op   Op
	path string
}

func (r *rules) add(op Op, path string, rule Rule) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set == nil {
		r.set = map[place]*Rule{}
	}
	r.set[place{op, path}] = &rule
	if rule.Hang != nil {
		r.hangs = append(r.hangs, rule.Hang)
	}
}

func (r *rules) counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Counts{r.count[Lookup], r.count[GetAttr], r.count[OpenDir], r.count[ReadDir]}
}

func (r *rules) releaseAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.hangs {
		h.Release()
	}
}

// apply carries out the rule for a request, and returns its errno. For ReadDir
// done is the number of entries that were listed; most is how many more may be
// before the rule acts, -1 if there is none that will.
func (r *rules) apply(op Op, path string, done uint64, cancel <-chan struct{}) (err syscall.Errno, most int64) {
	r.mu.Lock()
	r.count[op]++
	rule := r.set[place{op, path}]
	if rule == nil {
		rule = r.set[place{op, Everywhere}]
	}
	if rule == nil {
		r.mu.Unlock()
		return 0, -1
	}
	now := *rule
	if op == ReadDir {
		if now.After > int(done) {
			r.mu.Unlock()
			return 0, int64(now.After) - int64(done)
		}
	} else if rule.After > 0 {
		rule.After--
		r.mu.Unlock()
		return 0, -1
	}
	if rule.Times--; rule.Times == 0 {
		rule.Hang, rule.Delay, rule.Err = nil, 0, 0
	}
	r.mu.Unlock()

	if now.Delay > 0 {
		select {
		case <-time.After(now.Delay):
		case <-cancel:
			return syscall.EINTR, -1
		}
	}
	if now.Hang != nil {
		if err := now.Hang.wait(cancel); err != 0 {
			return err, -1
		}
	}
	return now.Err, -1
}

// reset forgets the requests that were made to mount.
func (r *rules) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count = [numOps]int64{}
}
