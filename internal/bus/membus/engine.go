// Package membus is an engine in memory that fails on command, for simulations.
//
// It knows time only by package time, and so runs in a bubble of testing/synctest.
package membus

import (
	"container/list"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
)

// Faults are what goes wrong by chance, each time anew. Probabilities are 0 to 1.
// The zero value is an engine that answers at once.
type Faults struct {
	Delay    func(*rand.Rand) time.Duration // of each way, to the engine and back; nil: none
	Loss     float64                        // of a message, on each way
	LostPut  float64                        // of a write: not done
	LatePut  float64                        // of a write: done, perhaps, up to Timeout after the caller gave up
	LostAck  float64                        // of a write's answer: done
	LostRead float64                        // of a read; it is tried again after Timeout
	Timeout  time.Duration                  // how long an answer is waited for; 0: 5 s
}

// queueBound is how many messages wait for a subscriber before more are lost.
const queueBound = 64 << 10

// An Engine is what the handles that it opens share.
type Engine struct {
	mu      sync.Mutex
	faults  Faults
	rng     *rand.Rand
	down    bool
	tables  map[string]*table
	handles map[*Handle]struct{}
	opened  int
	topics  topics
}

// New makes an engine. Whatever happens by chance is drawn from rng, by way of a
// generator for each handle, so that no handle changes another's luck; rng is
// only used when a handle is opened. Nil: a fixed seed.
func New(rng *rand.Rand) *Engine {
	if rng == nil {
		rng = rand.New(rand.NewPCG(1, 2))
	}
	return &Engine{rng: rng, tables: map[string]*table{}, handles: map[*Handle]struct{}{}}
}

// SetFaults holds for what begins from now on.
func (e *Engine) SetFaults(f Faults) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = f
}

// Open makes a handle, connected if the engine is up.
func (e *Engine) Open() *Handle {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.opened++
	h := &Handle{
		e: e, id: e.opened,
		rng:     rand.New(rand.NewPCG(e.rng.Uint64(), e.rng.Uint64())),
		changed: make(chan struct{}), conn: make(chan struct{}), dead: make(chan struct{}),
		subs: map[*subscription]struct{}{}, watches: map[*watch]struct{}{},
	}
	h.connected = !e.down
	e.handles[h] = struct{}{}
	return h
}

// Stop takes the engine down: all handles lose it. Tables stay.
func (e *Engine) Stop() { e.set(true) }

// Start brings it up again.
func (e *Engine) Start() { e.set(false) }

func (e *Engine) set(down bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down = down
	for h := range e.handles {
		h.update()
	}
}

// Lose drops all tables, as if the engine's disk were gone.
func (e *Engine) Lose() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, t := range e.tables {
		delete(e.tables, name)
		t.drop()
	}
}

// Close closes all handles.
func (e *Engine) Close() {
	e.mu.Lock()
	var all []*Handle
	for h := range e.handles {
		all = append(all, h)
	}
	e.mu.Unlock()
	for _, h := range all {
		h.Close()
	}
}

// table is guarded by Engine.mu. Values are in the order of their revisions, as in
// a log of which only the last entry of each key is kept: a watch is a position
// in it.
type table struct {
	name    string
	rev     uint64
	dropped bool
	log     *list.List               // of *entry
	keys    map[string]*list.Element // of log
	watches map[*watch]struct{}
}

// entry is never changed.
type entry struct {
	key     string
	data    []byte
	rev     uint64
	deleted bool
}

func newTable(name string) *table {
	return &table{name: name, log: list.New(), keys: map[string]*list.Element{}, watches: map[*watch]struct{}{}}
}

// last is the last entry of a key, or nil.
func (t *table) last(key string) *entry {
	if el := t.keys[key]; el != nil {
		return el.Value.(*entry)
	}
	return nil
}

// since returns the entries with a prefix after a revision.
func (t *table) since(rev uint64, prefix string) []*entry {
	var found []*entry
	for el := t.log.Back(); el != nil; el = el.Prev() {
		en := el.Value.(*entry)
		if en.rev <= rev {
			break
		}
		if under(en.key, prefix) {
			found = append(found, en)
		}
	}
	slices.Reverse(found)
	return found
}

func (t *table) put(key string, data []byte, rev uint64) (uint64, error) {
	en := t.last(key)
	switch {
	case en == nil && rev == 0, en != nil && en.rev == rev, en != nil && en.deleted && rev == 0:
	default:
		return 0, bus.ErrConflict
	}
	return t.append(&entry{key: key, data: data}), nil
}

func (t *table) delete(key string) {
	if en := t.last(key); en != nil && !en.deleted {
		t.append(&entry{key: key, deleted: true})
	}
}

func (t *table) append(en *entry) uint64 {
	t.rev++
	en.rev = t.rev
	if el := t.keys[en.key]; el != nil {
		t.log.Remove(el)
	}
	t.keys[en.key] = t.log.PushBack(en)
	for w := range t.watches {
		if under(en.key, w.prefix) {
			w.look()
		}
	}
	return en.rev
}

func (t *table) drop() {
	t.dropped = true
	for w := range t.watches {
		w.look()
	}
}

func under(key, prefix string) bool {
	return len(key) > len(prefix) && key[:len(prefix)] == prefix
}

func (en *entry) value() bus.Value {
	return bus.Value{Key: en.key, Data: slices.Clone(en.data), Rev: en.rev, Deleted: en.deleted}
}

func wrap(op, what string, err error) error { return fmt.Errorf("%s %s: %w", op, what, err) }
