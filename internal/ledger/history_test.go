package ledger

import (
	"flag"
	"io"
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// long tells that there is time.
var long = os.Getenv("HYDRA_TEST_ALL") != ""

var seedFlag = flag.String("seed", os.Getenv("HYDRA_SEED"), "of the only history to run, which is told")

// eachSeed runs histories. A failure tells the seed that it can be run again with.
func eachSeed(t *testing.T, few, many int, history func(seed uint64, trace io.Writer)) {
	t.Helper()
	run := func(seed uint64, trace io.Writer) {
		defer func() {
			if e := recover(); e != nil {
				if f, ok := e.(failure); ok {
					t.Fatalf("%s\nrun it again with -run '^%s$' -seed=%d", string(f), t.Name(), seed)
				}
				t.Logf("run it again with -run '^%s$' -seed=%d", t.Name(), seed)
				panic(e)
			}
		}()
		history(seed, trace)
	}
	if *seedFlag != "" {
		seed, err := strconv.ParseUint(*seedFlag, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		run(seed, t.Output())
		return
	}
	n := few
	if long {
		n = many
	}
	for seed := range n {
		run(uint64(seed), nil)
	}
}

func TestEachDirectoryIsCountedOnceWhateverFails(t *testing.T) {
	var steps, sessions, units, rounds int
	eachSeed(t, 1500, 100_000, func(seed uint64, trace io.Writer) {
		w := newWorld(seed, trace)
		w.live(100 + w.r.IntN(1500))
		w.settle()
		steps += w.steps
		sessions += w.joined
		units += w.tree.all.size()
		rounds = max(rounds, w.rounds)
	})
	t.Logf("%d steps, %d sessions, %d units; at most %d rounds after the faults", steps, sessions, units, rounds)
}

// check compares what a coordinator says with what there is, if it is up to date.
func (c *coordinator) check() {
	if !c.current() {
		return
	}
	if why := c.job.Broken(); why != "" {
		fail("%s: %s", c.name, why)
	}
	if len(c.job.Behind()) > 0 {
		if c.job.Done() || len(c.job.Free()) > 0 {
			fail("%s says what it can not know yet", c.name)
		}
		return
	}
	var counted units
	for _, r := range c.job.Records() {
		counted.join(unitsOf(r.Data))
	}
	t := c.w.tree
	dirs, files := int64(1), int64(t.fileRoots)
	for i := range t.fileRoots {
		if counted.has(i) {
			files--
		}
	}
	for _, d := range t.dirs {
		if counted.has(d.first) {
			dirs--
		}
		for e, child := range d.entries {
			if child >= 0 && counted.has(d.first+1+e) {
				dirs++
			}
		}
	}
	for _, b := range c.job.Outs {
		if b.Roots {
			dirs, files = int64(1+t.fileRoots), 0
		}
	}
	if d, f := c.job.Remains(1 + t.fileRoots); d != dirs || f != files {
		fail("%s: %d directories and %d files remain, want %d and %d", c.name, d, f, dirs, files)
	}
	if done := counted == t.all; c.job.Done() != done {
		fail("%s: done is %v, want %v", c.name, c.job.Done(), done)
	}
	if c.w.r.IntN(16) == 0 {
		c.compare()
	}
}

// compare compares a job with one that is made anew.
func (c *coordinator) compare() {
	asked := c.job.asked
	defer func() { c.job.asked = asked }() // nothing is written here
	var s State
	if err := Decode(Encode(c.job.Snapshot()), &s); err != nil {
		fail("decode: %v", err)
	}
	again := NewJob(&s, c.job.Records())
	if diff := cmp.Diff(c.says(c.job), c.says(again)); diff != "" {
		fail("%s is not what it were if it began anew:\n%s", c.name, diff)
	}
}

func (c *coordinator) says(j *Job) map[string]any {
	all := map[string]any{"free": j.Free(), "done": j.Done(), "left": j.Left, "outs": j.Outs, "members": j.Members}
	for _, r := range j.Records() {
		all["settled "+string(r.Session)] = j.SettledOf(r.Session)
		all["deliveries "+string(r.Session)] = j.Deliveries(r.Session, 0)
	}
	s := j.Snapshot()
	all["moves"], all["careful"], all["again"], all["all settled"] = s.Moves, s.Careful, s.Again, s.Settled
	return all
}
