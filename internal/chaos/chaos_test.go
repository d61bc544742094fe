//go:build linux

package chaos

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// all tells whether the tests that take long run too.
func all() bool { return os.Getenv("HYDRA_TEST_ALL") != "" }

// number is that of a variable, or else few, or many if all tests run.
func number(variable string, few, many int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	if all() {
		return many
	}
	return few
}

// seeds yields the seed of each round: the one that is given, or new ones.
func seeds(t *testing.T) func() (uint64, *rand.Rand) {
	next := uint64(time.Now().UnixNano())
	if given := os.Getenv("HYDRA_TEST_SEED"); given != "" {
		var err error
		if next, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return func() (uint64, *rand.Rand) {
		next++
		return next - 1, rand.New(rand.NewPCG(next-1, 1))
	}
}

func long(t *testing.T) {
	if testing.Short() {
		t.Skip("many processes: not in short tests")
	}
	t.Parallel()
}

// longAlone is for tests that mount: processes of other tests that have mounts of
// their own would keep copies, and the end of a mount waits for them.
func longAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("many processes: not in short tests")
	}
}

func TestAnUndisturbedClusterIsExact(t *testing.T) {
	t.Parallel()
	root := tree(t, 20_000)
	for name, w := range map[string]*world{"own engine": newWorld(t), "engine outside": newWorldOutside(t)} {
		t.Run(name, func(t *testing.T) {
			if w.engine != "" {
				w.startEngine()
			}
			server := w.server()
			clients := []*proc{w.client(2), w.client(2), w.client(0)}
			same(t, w.wait(w.submit(root)), w.alone(nil, root))
			w.stop(clients...)
			w.stop(server)
		})
	}
}

// TestExactWhateverDies kills and freezes clients and the server at random.
func TestExactWhateverDies(t *testing.T) {
	long(t)
	files := number("HYDRA_CHAOS_FILES", 20_000, 300_000)
	storms(t, newWorld, tree(t, files), files, number("HYDRA_CHAOS_ROUNDS", 1, 20))
}

// TestExactWhateverDiesBesideAnEngine kills and freezes also the engine, which is
// a process of its own.
func TestExactWhateverDiesBesideAnEngine(t *testing.T) {
	long(t)
	files := number("HYDRA_CHAOS_FILES", 20_000, 300_000)
	storms(t, newWorldOutside, tree(t, files), files, number("HYDRA_CHAOS_ROUNDS_OUTSIDE", 1, 5))
}

// TestAuditIsExactWhateverDies has larger statistics.
func TestAuditIsExactWhateverDies(t *testing.T) {
	long(t)
	files := number("HYDRA_CHAOS_FILES", 20_000, 300_000)
	storms(t, newWorld, tree(t, files), files, number("HYDRA_CHAOS_ROUNDS_AUDIT", 1, 3), "HYDRA_CHAOS_APP=audit")
}

// storms are rounds with one tree.
func storms(t *testing.T, world func(*testing.T) *world, root string, files, rounds int, env ...string) {
	seed := seeds(t)
	var want map[string]any
	for round := range rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			at := time.Now()
			w := world(t)
			w.env = append(w.env, env...)
			if want == nil {
				want = w.alone(nil, root)
			}
			given, rng := seed()
			s := &storm{world: w, rng: rng, kills: map[string]int{}, blows: number("HYDRA_CHAOS_BLOWS", 8, math.MaxInt)}
			got := s.run(root, files)
			same(t, got, want)
			t.Logf("HYDRA_TEST_SEED=%d %d files, wall %v: %v", given, files, time.Since(at).Round(time.Second/10), s)
		})
	}
}

// storm is a job while processes die.
type storm struct {
	*world
	rng     *rand.Rand
	clients []*proc
	servers []*proc // more than one: others had taken one for dead
	engine  *proc
	frozen  []*proc
	kills   map[string]int
	blows   int // that are left
}

func (s *storm) String() string {
	var parts []string
	for kind, n := range s.kills {
		parts = append(parts, fmt.Sprintf("%s %d", kind, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func (s *storm) run(root string, files int) result {
	if s.world.engine != "" {
		s.engine = s.startEngine()
	}
	n := 3 + s.rng.IntN(3)
	n = number("HYDRA_CHAOS_CLIENTS_AT_A_TIME", n, n)
	// So many seconds of work for all, if nobody died.
	work := number("HYDRA_CHAOS_SECONDS", 5, 20)
	each := time.Duration(work) * time.Second * time.Duration(5*n/2) / time.Duration(files)
	s.env = append(s.env, fmt.Sprint("HYDRA_CHAOS_PER_FILE=", each))
	s.servers = []*proc{s.server()}
	for range n {
		s.join()
	}
	// The higher the rate, the less is done between two blows.
	most := number("HYDRA_CHAOS_EVERY_MS", 2500, 2500)
	got := await(s.t, s.submit(root), 15*time.Minute, func() time.Duration {
		return time.Duration(most/10+s.rng.IntN(most)) * time.Millisecond
	}, s.blow)
	for _, p := range s.frozen {
		p.signal(syscall.SIGCONT)
	}
	s.stop(s.clients...)
	return got
}

func (s *storm) join() { s.clients = append(s.clients, s.client(1+s.rng.IntN(4))) }

func (s *storm) freeze(kind string, p *proc) {
	p.signal(syscall.SIGSTOP)
	s.frozen = append(s.frozen, p)
	s.kills[kind]++
}

// blow kills or freezes one process.
func (s *storm) blow() {
	// Who was frozen wakes up again, sometimes after it was lost.
	for len(s.frozen) > 0 && s.rng.IntN(2) == 0 {
		s.frozen[0].signal(syscall.SIGCONT)
		s.frozen = s.frozen[1:]
	}
	if s.blows--; s.blows < 0 {
		return
	}
	kinds := 8
	if s.engine != nil {
		kinds = 11
	}
	switch i, last := s.rng.IntN(len(s.clients)), len(s.servers)-1; s.rng.IntN(kinds) {
	case 0, 1, 2:
		s.clients[i].kill()
		s.clients = slices.Delete(s.clients, i, i+1)
		s.join()
		s.kills["clients killed"]++
	case 3, 4:
		s.freeze("clients frozen", s.clients[i])
	case 5:
		s.freeze("servers frozen", s.servers[last])
	case 6, 7:
		for _, p := range s.servers {
			p.kill()
		}
		s.servers = []*proc{s.server()}
		s.kills["servers killed"]++
	case 8:
		s.engine.kill()
		s.engine = s.startEngine()
		s.kills["engines killed"]++
	case 9:
		s.freeze("engines frozen", s.engine)
	case 10:
		// It may wake up, and believe that it is the only one.
		s.freeze("servers replaced", s.servers[last])
		s.servers = append(s.servers, s.server())
	}
}
