package ledger

import (
	"maps"
	"slices"
)

// table holds the last value of each key, which is replaced by compare-and-set.
type table struct {
	w       *world
	entries map[string]entry
	flying  []attempt // may arrive later, or never
	old     []*Record // that were the last once
	rev     uint64
	nonce   uint64
}

type entry struct {
	rev   uint64
	nonce uint64
	value any // *Record or *State, which nobody changes
}

type attempt struct {
	key   string
	rev   uint64 // of what it replaces
	nonce uint64
	value any
}

type outcome int

const (
	stored outcome = iota
	conflict
	unknown
)

const stateKey = "state"

// attempt makes a write that can be told from others.
func (t *table) attempt(key string, rev uint64, value any) attempt {
	t.nonce++
	return attempt{key, rev, t.nonce, value}
}

// put may not tell what became of a write, and that may arrive late.
func (t *table) put(a attempt) (uint64, outcome) {
	if t.w.fault(0.15) {
		switch t.w.r.IntN(3) {
		case 0: // lost
		case 1:
			t.flying = append(t.flying, a)
		case 2:
			t.store(a)
		}
		return 0, unknown
	}
	return t.store(a)
}

func (t *table) store(a attempt) (uint64, outcome) {
	if t.entries[a.key].rev != a.rev {
		return 0, conflict
	}
	t.rev++
	value := a.value
	switch v := value.(type) {
	case *Record:
		if t.w.codec {
			var r Record
			if err := Decode(Encode(v), &r); err != nil {
				fail("decode: %v", err)
			}
			value = &r
		}
		t.old = append(t.old, value.(*Record))
	case *State:
		var s State
		if err := Decode(Encode(v), &s); err != nil {
			fail("decode: %v", err)
		}
		value = &s
	}
	t.entries[a.key] = entry{t.rev, a.nonce, value}
	t.w.log("  stored %s as %d", a.key, t.rev)
	t.w.check()
	return t.rev, stored
}

// land lets a write arrive that was thought of as lost.
func (t *table) land() {
	if len(t.flying) > 0 {
		i := t.w.r.IntN(len(t.flying))
		a := t.flying[i]
		t.flying = slices.Delete(t.flying, i, i+1)
		if t.w.r.IntN(3) > 0 {
			t.w.log("late write of %s", a.key)
			t.store(a)
		}
	}
}

// state is the caller's own.
func (t *table) state() (*State, uint64) {
	e, ok := t.entries[stateKey]
	if !ok {
		return nil, 0
	}
	var s State
	if err := Decode(Encode(e.value), &s); err != nil {
		fail("decode: %v", err)
	}
	return &s, e.rev
}

func (t *table) record(id SessionID) (*Record, uint64) {
	e, ok := t.entries[string(id)]
	if !ok {
		return nil, 0
	}
	return e.value.(*Record), e.rev
}

func (t *table) sessions() []SessionID {
	var ids []SessionID
	for _, key := range slices.Sorted(maps.Keys(t.entries)) {
		if key != stateKey {
			ids = append(ids, SessionID(key))
		}
	}
	return ids
}
