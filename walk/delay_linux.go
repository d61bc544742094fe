package walk

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// delays measures how long the threads of this process were ready to run and had
// no processor: run_delay, the second number in schedstat, see
// https://docs.kernel.org/scheduler/sched-stats.html. Of many threads it looks at
// some. It knows of no delay where the kernel does not count them.
type delays struct {
	files []string
	times float64 // as many threads as are looked at
	at    int64
}

// mostThreads are looked at: each takes some microseconds.
const mostThreads = 16

// begin begins a measurement.
func (d *delays) begin() {
	const dir = "/proc/self/task"
	d.files = d.files[:0]
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	names, _ := f.Readdirnames(-1)
	f.Close()
	every := (len(names) + mostThreads - 1) / mostThreads
	for i := 0; i < len(names); i += every {
		d.files = append(d.files, dir+"/"+names[i]+"/schedstat")
	}
	if len(d.files) > 0 {
		d.times = float64(len(names)) / float64(len(d.files))
	}
	d.at = d.sum()
}

// since is what all threads together waited since begin.
func (d *delays) since() time.Duration {
	return time.Duration(float64(max(d.sum()-d.at, 0)) * d.times)
}

// sum is in nanoseconds. A thread that ends is missing from then on, which makes
// the measurement too small.
func (d *delays) sum() (sum int64) {
	for _, name := range d.files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		sum += runDelay(text)
	}
	return sum
}

// runDelay takes it out of a schedstat: time on a processor, run_delay, time slices.
func runDelay(schedstat []byte) int64 {
	fields := bytes.Fields(schedstat)
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return n
}
