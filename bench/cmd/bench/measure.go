package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// program is something to be timed on a tree.
type program struct {
	name   string
	argv   []string
	env    []string                            // nil: ours
	counts func(stdout []byte) (string, error) // nil: its output goes to /dev/null
	want   string                              // what counts has to return; "" if it may differ
	before func() error                        // not timed
	rounds int                                 // 0: as many as all
}

// run is one run of a program.
type run struct {
	wall, cpu time.Duration
	peak      int64 // bytes
	counted   string
}

// once runs a program and measures it by the program rusage.
func (b *bench) once(p *program) (run, error) {
	if p.before != nil {
		if err := p.before(); err != nil {
			return run{}, fmt.Errorf("prepare %s: %w", p.name, err)
		}
	}
	used, err := os.CreateTemp("", "hydra-bench-")
	if err != nil {
		return run{}, err
	}
	defer os.Remove(used.Name())
	defer used.Close()
	cmd := exec.Command(b.bins.path("rusage"), append([]string{used.Name()}, p.argv...)...)
	cmd.Env = p.env
	var stdout, stderr bytes.Buffer
	cmd.Stderr = &stderr
	if p.counts != nil {
		cmd.Stdout = &stdout
	}
	if err := cmd.Run(); err != nil {
		return run{}, fmt.Errorf("%s: %w: %s", strings.Join(p.argv, " "), err, strings.TrimSpace(stderr.String()))
	}
	var wall, user, system, peak int64
	if _, err := fmt.Fscan(used, &wall, &user, &system, &peak); err != nil {
		return run{}, fmt.Errorf("what %s used: %w", p.name, err)
	}
	r := run{
		wall: time.Duration(wall) * time.Microsecond,
		cpu:  time.Duration(user+system) * time.Microsecond,
		peak: peak << 10,
	}
	if p.counts == nil {
		return r, nil
	}
	if r.counted, err = p.counts(stdout.Bytes()); err != nil {
		return r, fmt.Errorf("%s: %w", p.name, err)
	}
	if p.want != "" && r.counted != p.want {
		return r, fmt.Errorf("%s counted %s, in the tree are %s", p.name, r.counted, p.want)
	}
	return r, nil
}

// result is what came of all runs of a program.
type result struct {
	name string
	runs []run
}

func (r *result) wall() float64 {
	return median(r.runs, func(x run) float64 { return x.wall.Seconds() })
}
func (r *result) cpu() float64 { return median(r.runs, func(x run) float64 { return x.cpu.Seconds() }) }
func (r *result) peak() float64 {
	return median(r.runs, func(x run) float64 { return float64(x.peak) / (1 << 20) })
}

func median(runs []run, of func(run) float64) float64 {
	var all []float64
	for _, r := range runs {
		all = append(all, of(r))
	}
	return middle(all)
}

// middle is the median.
func middle(all []float64) float64 {
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

// compare runs programs in turn, A B C A B C ..., after a round that does not
// count if warm is set.
func (b *bench) compare(programs []program, rounds int, warm bool) ([]result, error) {
	results := make([]result, len(programs))
	first := 0
	if warm {
		first = -1
	}
	for round := first; round < rounds; round++ {
		for i := range programs {
			p := &programs[i]
			if p.rounds > 0 && round >= p.rounds {
				continue
			}
			fmt.Fprintf(os.Stderr, "\r\x1b[Kround %d of %d: %s", round+1, rounds, p.name)
			r, err := b.once(p)
			if err != nil {
				fmt.Fprintln(os.Stderr)
				return nil, err
			}
			results[i].name = p.name
			if round >= 0 {
				results[i].runs = append(results[i].runs, r)
			}
		}
	}
	fmt.Fprint(os.Stderr, "\r\x1b[K")
	return results, nil
}
