package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/bench/internal/count"
	"github.com/hydrawalk/hydra/bench/internal/tree"
)

// What it may cost to distribute a walk, on one machine, where nothing is won.
const (
	clusterWall = 1.10 // times one process with as many workers
	clusterCPU  = 1.05
	lastWait    = 0.050 // seconds from the last record to the end of the job
	tinyWall    = 0.3   // seconds of a whole command on a tiny tree
)

const aboutClusters = `One process, and a server with clients of one worker each, walk the same tree on
this machine in turn: nothing is won by that, so that what is seen is what it
costs. The job is what ` + "`wall_seconds`" + ` says, the command what it takes until the
shell is back; CPU is that of all processes. x is the median of the ratios to the
process that ran just before. The server writes to a disk, GOMAXPROCS is 4 for
all, and results have to be the same.

Processes take more than threads already: they do not share what the processor
remembers of memory. So there are also processes of one worker each that know
nothing of each other: each is given its part of what is in the root.

`

// trial is one run of an audit, by one process or by a cluster.
type trial struct {
	run
	job    float64 // seconds
	result string  // what has to be the same in all

	// Of a cluster:
	used    used
	traffic line
	last    time.Duration // from the last record to the end of the job
}

// cluster: what it costs to distribute.
func (b *bench) cluster(ctx context.Context) error {
	// So many files that beginning and ending are little of it.
	path, m, _, err := tree.Ensure(ctx, b.dir, tree.Spec{Kind: tree.Realistic, Seed: 1, Scale: 5 * b.scale})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "cluster-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	quiet()
	sizes := []int{2, 4}
	alone, apart, shared := make([][]trial, len(sizes)), make([][]trial, len(sizes)), make([][]trial, len(sizes))
	result := ""
	for round := -1; round < b.rounds; round++ {
		for i, n := range sizes {
			fmt.Fprintf(os.Stderr, "\r\x1b[Kround %d of %d: one process, %s", round+1, b.rounds, plural(n, "worker"))
			one, err := b.auditOnce(dir, []string{"-j", fmt.Sprint(n)}, path, &m)
			if err != nil {
				fmt.Fprintln(os.Stderr)
				return err
			}
			fmt.Fprintf(os.Stderr, "\r\x1b[Kround %d of %d: %d processes", round+1, b.rounds, n)
			parts, err := b.auditApart(dir, n, path, &m)
			if err != nil {
				fmt.Fprintln(os.Stderr)
				return err
			}
			fmt.Fprintf(os.Stderr, "\r\x1b[Kround %d of %d: %s", round+1, b.rounds, plural(n, "client"))
			many, err := b.clusterOnce(ctx, dir, n, path, &m)
			if err != nil {
				fmt.Fprintln(os.Stderr)
				return err
			}
			for _, t := range []*trial{&one, &many} {
				if result == "" {
					result = t.result
				}
				if t.result != result {
					fmt.Fprintln(os.Stderr)
					return fmt.Errorf("results differ:\n%s", difference(result, t.result))
				}
			}
			name := "warm-up"
			if round >= 0 {
				name = fmt.Sprintf("round %d", round+1)
				alone[i], apart[i], shared[i] = append(alone[i], one), append(apart[i], parts), append(shared[i], many)
			}
			fmt.Fprintf(os.Stderr, "\r\x1b[K%s, %s: job x %.3f, command x %.3f, CPU x %.3f, apart %.3f\n", name, plural(n, "client"),
				many.job/one.job, many.wall.Seconds()/one.wall.Seconds(), many.all().Seconds()/one.all().Seconds(), parts.cpu.Seconds()/one.cpu.Seconds())
		}
	}
	fmt.Fprint(os.Stderr, "\r\x1b[K")

	fmt.Fprintf(b.out, "## Distributed audit (%d files in %d directories)\n\n%s", m.Files, m.Dirs, aboutClusters)
	fmt.Fprint(b.out, "| | job seconds | x | command seconds | x | CPU seconds | x | peak MiB |\n|---|---|---|---|---|---|---|---|\n")
	for i, n := range sizes {
		b.clusterRows(n, alone[i], apart[i], shared[i])
	}
	fmt.Fprint(b.out, "\nOf the runs that took least, which others disturbed least:\n\n| | job x | CPU x |\n|---|---|---|\n")
	for i, n := range sizes {
		for _, r := range []struct {
			name string
			ts   []trial
		}{{fmt.Sprintf("%d processes apart", n), apart[i]}, {"server and " + plural(n, "client"), shared[i]}} {
			fmt.Fprintf(b.out, "| %s | %.3f | %.3f |\n", r.name, least(r.ts, jobSeconds)/least(alone[i], jobSeconds), least(r.ts, cpuSeconds)/least(alone[i], cpuSeconds))
		}
	}
	fmt.Fprintln(b.out)
	b.clusterDetails(sizes, shared, &m)
	return b.tiny(ctx, dir)
}

// quiet warns if others use the machine.
func quiet() {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return
	}
	var load float64
	if _, err := fmt.Sscan(string(text), &load); err == nil && load > 0.5 {
		fmt.Fprintf(os.Stderr, "the machine is not quiet: there was a load of %.1f in the last minute\n", load)
	}
}

// auditOnce audits a tree by one command.
func (b *bench) auditOnce(dir string, flags []string, path string, m *tree.Manifest) (trial, error) {
	var t trial
	p := program{
		name: "hydra audit " + strings.Join(flags, " "),
		// Ages are counted up to a day that is the same for all.
		argv: slices.Concat([]string{b.bins.path("hydra"), "audit"}, flags, []string{"--as-of", "2100-01-01T00:00:00Z", "--json", path}),
		env:  clusterEnv(dir),
		want: want(audit, m),
	}
	p.counts = func(out []byte) (string, error) {
		var err error
		if t.job, t.result, err = essence(out); err != nil {
			return "", err
		}
		return audited(out)
	}
	var err error
	t.run, err = b.once(&p)
	return t, err
}

// auditApart audits a tree by processes of one worker each, which know nothing of
// each other: each is given a part of what is in its root.
func (b *bench) auditApart(dir string, n int, path string, m *tree.Manifest) (trial, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return trial{}, err
	}
	programs := make([]program, n)
	var mu sync.Mutex
	all := count.Counts{Dirs: 1} // the root
	for i := range programs {
		programs[i] = program{
			name: "a part of the tree",
			argv: []string{b.bins.path("hydra"), "audit", "-j", "1", "--as-of", "2100-01-01T00:00:00Z", "--json"},
			env:  clusterEnv(dir),
			counts: func(out []byte) (string, error) {
				mu.Lock()
				defer mu.Unlock()
				c, err := auditCounts(out)
				all.Add(c)
				return c.String(), err
			},
		}
	}
	for i, e := range entries {
		p := &programs[i%n]
		p.argv = append(p.argv, filepath.Join(path, e.Name()))
	}
	runs, errs := make([]run, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range programs {
		wg.Go(func() { runs[i], errs[i] = b.once(&programs[i]) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return trial{}, err
	}
	if got := all.String(); got != want(audit, m) {
		return trial{}, fmt.Errorf("%d processes counted %s, in the tree are %s", n, got, want(audit, m))
	}
	var t trial
	for _, r := range runs {
		t.wall, t.peak = max(t.wall, r.wall), max(t.peak, r.peak)
		t.cpu += r.cpu
	}
	t.job = t.wall.Seconds()
	return t, nil
}

// essence takes out of a result what may differ between two.
func essence(out []byte) (seconds float64, rest string, err error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(out, &doc); err != nil {
		return 0, "", err
	}
	if err := json.Unmarshal(doc["wall_seconds"], &seconds); err != nil {
		return 0, "", fmt.Errorf("wall_seconds: %w", err)
	}
	var stats map[string]json.RawMessage
	if err := json.Unmarshal(doc["stats"], &stats); err != nil {
		return 0, "", fmt.Errorf("stats: %w", err)
	}
	for _, key := range []string{"job", "started", "finished", "wall_seconds", "clients", "workers", "stats"} {
		delete(doc, key)
	}
	for _, key := range []string{"num_clients", "num_workers"} {
		delete(stats, key)
	}
	maps.DeleteFunc(stats, func(key string, _ json.RawMessage) bool { return strings.HasPrefix(key, "time_") })
	var text strings.Builder
	for _, part := range []map[string]json.RawMessage{doc, stats} {
		for _, key := range slices.Sorted(maps.Keys(part)) {
			fmt.Fprintf(&text, "%s: %s\n", key, part[key])
		}
	}
	return seconds, text.String(), nil
}

// difference is the first line that differs, cut to what a terminal can show.
func difference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] == bs[i] {
			continue
		}
		at := 0
		for at < min(len(as[i]), len(bs[i])) && as[i][at] == bs[i][at] {
			at++
		}
		key, _, _ := strings.Cut(as[i], ":")
		from := max(0, at-40)
		return fmt.Sprintf("%s\n\t%.200s\n\t%.200s", key, as[i][from:], bs[i][from:])
	}
	return "one has more lines than the other"
}

// clusterOnce audits a tree by a server and clients of one worker each, which are
// started for that.
func (b *bench) clusterOnce(ctx context.Context, dir string, clients int, path string, m *tree.Manifest) (t trial, err error) {
	own, err := os.MkdirTemp(dir, "")
	if err != nil {
		return t, err
	}
	defer os.RemoveAll(own)
	c, err := b.startCluster(ctx, own, "hydra", clients, 1)
	if err != nil {
		return t, err
	}
	stopped := false
	defer func() {
		if !stopped {
			err = errors.Join(err, c.stop())
		}
	}()
	before, err := c.used()
	if err != nil {
		return t, err
	}
	if t, err = b.auditOnce(own, []string{"--server", c.address}, path, m); err != nil {
		return t, err
	}
	time.Sleep(200 * time.Millisecond) // what is done when the job has ended counts too
	if t.used, err = c.used(); err != nil {
		return t, err
	}
	t.used.server -= before.server
	t.used.clients -= before.clients
	ended, err := c.server.said(ctx, "job ended")
	if err != nil {
		return t, err
	}
	t.last = ended.Since
	stopped = true
	if err := c.stop(); err != nil {
		return t, err
	}
	t.traffic, err = c.server.said(ctx, "traffic")
	return t, err
}

// all is the CPU time of all processes.
func (t *trial) all() time.Duration { return t.cpu + t.used.server + t.used.clients }

func trialMedian(ts []trial, of func(*trial) float64) float64 {
	var all []float64
	for i := range ts {
		all = append(all, of(&ts[i]))
	}
	return middle(all)
}

func least(ts []trial, of func(*trial) float64) float64 {
	n := of(&ts[0])
	for i := range ts {
		n = min(n, of(&ts[i]))
	}
	return n
}

// ratio is the median of the ratios of runs that followed each other.
func ratio(a, b []trial, of func(*trial) float64) float64 {
	var all []float64
	for i := range a {
		all = append(all, of(&b[i])/of(&a[i]))
	}
	return middle(all)
}

func jobSeconds(t *trial) float64     { return t.job }
func commandSeconds(t *trial) float64 { return t.wall.Seconds() }
func cpuSeconds(t *trial) float64     { return t.all().Seconds() }

// clusterRows prints what one process and a cluster took, and adds the bars.
func (b *bench) clusterRows(n int, alone, apart, shared []trial) {
	job, command, cpu := ratio(alone, shared, jobSeconds), ratio(alone, shared, commandSeconds), ratio(alone, shared, cpuSeconds)
	row := func(name string, ts []trial, job, command, cpu float64) {
		peak := trialMedian(ts, func(t *trial) float64 { return mib(max(t.peak, t.used.serverPeak, t.used.clientsPeak)) })
		fmt.Fprintf(b.out, "| %s | %.3f | %.3f | %.3f | %.3f | %.2f | %.3f | %.0f |\n", name,
			trialMedian(ts, jobSeconds), job, trialMedian(ts, commandSeconds), command, trialMedian(ts, cpuSeconds), cpu, peak)
	}
	row("one process, "+plural(n, "worker"), alone, 1, 1, 1)
	row(fmt.Sprintf("%d processes apart", n), apart, ratio(alone, apart, jobSeconds), ratio(alone, apart, commandSeconds), ratio(alone, apart, cpuSeconds))
	row(fmt.Sprintf("**server and %s**", plural(n, "client")), shared, job, command, cpu)
	what := "distributed, " + plural(n, "client")
	b.bar(job <= clusterWall, "%s: the job takes at most %.2f x one process (%.3f)", what, clusterWall, job)
	b.bar(command <= clusterWall, "%s: the command takes at most %.2f x one process (%.3f)", what, clusterWall, command)
	b.bar(cpu <= clusterCPU, "%s: CPU at most %.2f x one process (%.3f)", what, clusterCPU, cpu)
	cpu = ratio(apart, shared, cpuSeconds)
	b.bar(cpu <= clusterCPU, "%s: CPU at most %.2f x as many processes apart (%.3f)", what, clusterCPU, cpu)
}

// clusterDetails prints where the costs are.
func (b *bench) clusterDetails(sizes []int, shared [][]trial, m *tree.Manifest) {
	per := float64(m.Dirs) / 1000
	fmt.Fprint(b.out, "|")
	for _, n := range sizes {
		fmt.Fprintf(b.out, " | %s", plural(n, "client"))
	}
	fmt.Fprint(b.out, " |\n|---"+strings.Repeat("|---", len(sizes))+"|\n")
	for _, r := range []struct {
		name, format string
		of           func(*trial) float64
	}{
		{"CPU seconds of the server", "%.3f", func(t *trial) float64 { return t.used.server.Seconds() }},
		{"CPU seconds of the clients", "%.2f", func(t *trial) float64 { return t.used.clients.Seconds() }},
		{"CPU seconds of the command", "%.3f", func(t *trial) float64 { return t.cpu.Seconds() }},
		{"peak MiB of the server", "%.0f", func(t *trial) float64 { return mib(t.used.serverPeak) }},
		{"peak MiB of the largest client", "%.0f", func(t *trial) float64 { return mib(t.used.clientsPeak) }},
		{"peak MiB of the command", "%.0f", func(t *trial) float64 { return mib(t.peak) }},
		{"durable writes", "%.0f", func(t *trial) float64 { return float64(t.traffic.Writes) }},
		{"durable writes / 1,000 directories", "%.2f", func(t *trial) float64 { return float64(t.traffic.Writes) / per }},
		{"messages to the engine / 1,000 directories", "%.2f", func(t *trial) float64 { return float64(t.traffic.In) / per }},
		{"messages from the engine / 1,000 directories", "%.2f", func(t *trial) float64 { return float64(t.traffic.Out) / per }},
		{"KiB to the engine / 1,000 directories", "%.1f", func(t *trial) float64 { return float64(t.traffic.InBytes) / 1024 / per }},
		{"KiB from the engine / 1,000 directories", "%.1f", func(t *trial) float64 { return float64(t.traffic.OutBytes) / 1024 / per }},
		{"ms from the last record to the end of the job", "%.1f", func(t *trial) float64 { return t.last.Seconds() * 1000 }},
		{"ms of the command beyond the job", "%.0f", func(t *trial) float64 { return (t.wall.Seconds() - t.job) * 1000 }},
	} {
		fmt.Fprintf(b.out, "| %s ", r.name)
		for i := range sizes {
			fmt.Fprintf(b.out, "| "+r.format+" ", trialMedian(shared[i], r.of))
		}
		fmt.Fprintln(b.out, "|")
	}
	fmt.Fprintln(b.out)
	for i, n := range sizes {
		s := trialMedian(shared[i], func(t *trial) float64 { return t.last.Seconds() })
		b.bar(s <= lastWait, "distributed, %s: the job ends at most %.0f ms after its last record (%.1f)", plural(n, "client"), lastWait*1000, s*1000)
	}
}

// tiny: jobs that are nothing but their beginning and end, and a cluster that has
// nothing to do.
func (b *bench) tiny(ctx context.Context, dir string) (err error) {
	const runs, idleTime = 20, 10 * time.Second
	// 100 directories, whatever the scale.
	path, m, _, err := tree.Ensure(ctx, b.dir, tree.Spec{Kind: tree.Realistic, Seed: 1, Scale: 0.00167})
	if err != nil {
		return err
	}
	own, err := os.MkdirTemp(dir, "")
	if err != nil {
		return err
	}
	c, err := b.startCluster(ctx, own, "hydra", 2, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	var alone, shared []trial
	for i := -1; i < runs; i++ {
		fmt.Fprintf(os.Stderr, "\r\x1b[Ktiny jobs: %d of %d", i+1, runs)
		one, err := b.auditOnce(own, []string{"-j", "2"}, path, &m)
		if err != nil {
			return err
		}
		many, err := b.auditOnce(own, []string{"--server", c.address}, path, &m)
		if err != nil {
			return err
		}
		if one.result != many.result {
			return fmt.Errorf("results differ:\n%s", difference(one.result, many.result))
		}
		if i >= 0 {
			alone, shared = append(alone, one), append(shared, many)
		}
	}
	fmt.Fprint(os.Stderr, "\r\x1b[Knothing to do for 10 s")
	time.Sleep(time.Second)
	before, err := c.used()
	if err != nil {
		return err
	}
	select {
	case <-time.After(idleTime):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	after, err := c.used()
	if err != nil {
		return err
	}
	fmt.Fprint(os.Stderr, "\r\x1b[K")

	fmt.Fprintf(b.out, "## Distributed audit of %d directories (medians of %d runs), and nothing to do\n\n", m.Dirs, runs)
	fmt.Fprint(b.out, "| | job ms | command ms | slowest command ms |\n|---|---|---|---|\n")
	for _, r := range []struct {
		name string
		ts   []trial
	}{{"one process, 2 workers", alone}, {"**server and 2 clients**", shared}} {
		slowest := slices.MaxFunc(r.ts, func(a, b trial) int { return int(a.wall - b.wall) })
		fmt.Fprintf(b.out, "| %s | %.1f | %.1f | %.1f |\n", r.name,
			trialMedian(r.ts, jobSeconds)*1000, trialMedian(r.ts, commandSeconds)*1000, slowest.wall.Seconds()*1000)
	}
	share := func(d time.Duration) float64 { return 100 * d.Seconds() / idleTime.Seconds() }
	fmt.Fprintf(b.out, "\n| idle, 2 clients, %d jobs that have ended | CPU, %% of a core | peak MiB |\n|---|---|---|\n", 1+runs)
	fmt.Fprintf(b.out, "| server | %.2f | %.0f |\n", share(after.server-before.server), mib(after.serverPeak))
	fmt.Fprintf(b.out, "| client | %.2f | %.0f |\n\n", share(after.clients-before.clients)/float64(len(c.clients)), mib(after.clientsPeak))
	s := trialMedian(shared, commandSeconds)
	b.bar(s <= tinyWall, "distributed, %d directories: the command takes at most %.1f s (%.3f)", m.Dirs, tinyWall, s)
	return nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
