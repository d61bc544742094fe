package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/client"
)

// settings are those of a world. All follows from the seed.
type settings struct {
	Seed     uint64
	Roots    []int
	Shape    shape
	Rules    rules
	Effort   effort
	OpenTime time.Duration
	Stall    time.Duration

	Clients int
	Late    int // of them, at most, that come while there is trouble, or never
	Workers int // of a client, at most
	Servers int

	Delay   time.Duration // of a message, at most
	Loss    float64
	Put     float64 // lost, late, and without an answer, each
	Read    float64 // lost
	Timeout time.Duration

	Trouble   time.Duration // how long things go wrong
	Incidents int           // in that time
	Cancel    bool          // it is cancelled and resumed
	Steer     bool          // it is paused, and changed in other ways
	Stop      string        // a file at which the application ends the walk: "skip" or "fatal"
	Bug       client.Bug
}

func (s settings) String() string {
	type plain settings
	return fmt.Sprintf("world %d: %+v", s.Seed, plain(s))
}

func (s *settings) tree() *tree { return &tree{seed: s.Seed, roots: s.Roots, shape: s.Shape} }

// faults are those of the engine while there is trouble.
func (s *settings) faults() membus.Faults {
	return membus.Faults{
		Delay:    uniform(s.Delay),
		Loss:     s.Loss,
		LostPut:  s.Put,
		LatePut:  s.Put,
		LostAck:  s.Put,
		LostRead: s.Read,
		Timeout:  s.Timeout,
	}
}

func uniform(most time.Duration) func(*rand.Rand) time.Duration {
	if most == 0 {
		return nil
	}
	return func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(most) + 1)) }
}

// pick returns one of several.
func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// makeSettings makes the settings of a world.
func makeSettings(seed uint64) settings {
	r := rand.New(rand.NewPCG(seed, 0))
	s := settings{Seed: seed, Stall: time.Minute}
	dirs := 1 + r.IntN(pick(r, 3, 50, 300, 300, 1000, 2000))
	for dirs > 0 {
		n := 1 + r.IntN(dirs)
		if r.IntN(3) > 0 {
			n = dirs
		}
		s.Roots = append(s.Roots, n)
		dirs -= n
	}
	for range r.IntN(3) / 2 {
		s.Roots = append(s.Roots, 0)
	}
	s.Shape = shape{
		fan: pick(r, 2, 3, 8, 30), chain: pick(r, 0, 50, 300, 800), wide: pick(r, 0, 10, 100),
		files: pick(r, 0, 3, 10, 30), big: pick(r, 0, 0, 20), odd: pick(r, 0, 0, 50),
	}
	if r.IntN(6) == 0 {
		s.Shape.huge = max(1, 1500/(1+len(s.Roots)+s.Roots[0]))
	}
	if r.IntN(2) == 0 {
		s.Rules = rules{
			Closed: pick(r, 0, 10), Broken: pick(r, 0, 20), Refused: pick(r, 0, 20), Skipped: pick(r, 0, 20), BadLeave: pick(r, 0, 20),
			BadFile: pick(r, 0, 50), SkipFile: pick(r, 0, 50), Panics: pick(r, 0, 0, 5),
			Filter: r.IntN(2) == 0, Dropped: pick(r, 0, 100),
		}
	}
	s.Clients = 1 + r.IntN(pick(r, 2, 5, 10, 20))
	s.Late = s.Clients
	s.Workers = pick(r, 1, 2, 4)
	s.Servers = pick(r, 1, 1, 2, 3)

	// So much is to do that it takes about as long as there is trouble.
	s.Trouble = time.Duration(1+r.IntN(40)) * time.Second
	x := expect(s.tree(), &s.Rules)
	each := s.Trouble * time.Duration(s.Clients*s.Workers) / time.Duration(x.work+1) * time.Duration(1+r.IntN(3)) / 2
	s.Effort = effort{File: min(2*each, 50*time.Millisecond), Dir: min(2*each, 200*time.Millisecond), Pad: pick(r, 0, 0, 0, 10<<10)}
	s.OpenTime = pick(r, 0, 0, time.Millisecond)

	s.Delay = pick(r, 0, time.Millisecond, 20*time.Millisecond, 300*time.Millisecond)
	s.Loss = pick(r, 0, 0, 0.01, 0.2)
	s.Put = pick(r, 0, 0, 0.01, 0.1)
	s.Read = pick(r, 0, 0, 0.1)
	s.Timeout = pick(r, 500*time.Millisecond, 2*time.Second, 5*time.Second)
	s.Incidents = r.IntN(pick(r, 1, 5, 10, 30))
	s.Cancel = r.IntN(5) == 0
	if r.IntN(20) == 0 {
		s.Stop = pick(r, "skip", "fatal")
		s.Rules.BadFile, s.Rules.SkipFile, s.Rules.Panics = 0, 0, 0
	}
	s.Steer = r.IntN(3) == 0
	return s
}
