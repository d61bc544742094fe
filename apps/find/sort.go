package find

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
)

const (
	// sortMemory is how much a sorter keeps in memory, in bytes.
	sortMemory = 64 << 20
	// mostRuns is how many files it has open.
	mostRuns = 64
	// sortBuffer is how much is written at once.
	sortBuffer = 32 << 10
)

// sorter sorts lines by their keys, in bounded memory: what does not fit is sorted in runs,
// which are files that are merged in the end.
//
//	frame: length of the key, key, length of the line, line; lengths are uvarints
type sorter struct {
	w      io.Writer
	memory int
	limit  int  // of lines; 0: none
	down   bool // the keys are paths or names, and the larger ones come first

	frames []byte
	index  []frame
	runs   []*os.File
}

// frame says where a key and its line are.
type frame struct{ key, line, end uint32 }

func newSorter(s *Settings, w io.Writer) *sorter {
	key, down := orderOf(s)
	// Numbers are written so that they are in order either way.
	return &sorter{w: w, memory: sortMemory, limit: s.Limit, down: down && (key == "path" || key == "name")}
}

var errFrame = errors.New("what is to be sorted is not as it was emitted")

// cut is the first frame of b, and what is behind it.
func cut(b []byte) (key, line, rest []byte, err error) {
	for _, part := range []*[]byte{&key, &line} {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, nil, nil, errFrame
		}
		*part, b = b[n:n+int(size)], b[n+int(size):]
	}
	return key, line, b, nil
}

func (s *sorter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		key, line, behind, err := cut(rest)
		if err != nil {
			return 0, err
		}
		rest = behind
		if len(s.frames)+len(key)+len(line)+16*len(s.index) > s.memory && len(s.index) > 0 {
			if err := s.spill(); err != nil {
				return 0, err
			}
		}
		at := uint32(len(s.frames))
		s.frames = append(append(s.frames, key...), line...)
		s.index = append(s.index, frame{at, at + uint32(len(key)), uint32(len(s.frames))})
	}
	return len(p), nil
}

func (s *sorter) compare(a, b []byte) int {
	if s.down {
		a, b = b, a
	}
	return bytes.Compare(a, b)
}

// sort sorts what is in memory, and leaves out what is beyond the limit.
func (s *sorter) sort() {
	slices.SortFunc(s.index, func(a, b frame) int {
		return s.compare(s.frames[a.key:a.line], s.frames[b.key:b.line])
	})
	if s.limit > 0 && len(s.index) > s.limit {
		s.index = s.index[:s.limit]
	}
}

// spill makes a run of what is in memory.
func (s *sorter) spill() error {
	if len(s.runs) == mostRuns {
		if err := s.join(); err != nil {
			return err
		}
	}
	s.sort()
	err := s.newRun(func(w *bufio.Writer) error {
		for _, f := range s.index {
			if err := writeFrame(w, s.frames[f.key:f.line], s.frames[f.line:f.end]); err != nil {
				return err
			}
		}
		return nil
	})
	s.frames, s.index = s.frames[:0], s.index[:0]
	return err
}

func writeFrame(w *bufio.Writer, key, line []byte) error {
	var size [binary.MaxVarintLen64]byte
	for _, part := range [][]byte{key, line} {
		if _, err := w.Write(size[:binary.PutUvarint(size[:], uint64(len(part)))]); err != nil {
			return err
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// newRun writes a file that has no name any more, where a system can do that.
func (s *sorter) newRun(write func(*bufio.Writer) error) error {
	f, err := os.CreateTemp("", "hydra-find-*")
	if err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	if runtime.GOOS != "windows" {
		_ = os.Remove(f.Name()) // it only stays longer
	}
	s.runs = append(s.runs, f)
	w := bufio.NewWriterSize(f, sortBuffer)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	return nil
}

// join makes one run of all.
func (s *sorter) join() error {
	old := s.runs
	s.runs = nil
	defer closeRuns(old)
	return s.newRun(func(w *bufio.Writer) error {
		return s.merge(old, func(key, line []byte) error { return writeFrame(w, key, line) })
	})
}

func closeRuns(runs []*os.File) {
	for _, f := range runs {
		_ = f.Close()
		if runtime.GOOS == "windows" {
			_ = os.Remove(f.Name())
		}
	}
}

// Close writes all in order.
func (s *sorter) Close() error {
	defer func() { closeRuns(s.runs) }()
	var out []byte
	add := func(_, line []byte) error {
		// Whole lines: who writes them looks at their characters.
		if out = append(out, line...); len(out) < sortBuffer {
			return nil
		}
		_, err := s.w.Write(out)
		out = out[:0]
		return err
	}
	if len(s.runs) == 0 {
		s.sort()
		for _, f := range s.index {
			if err := add(nil, s.frames[f.line:f.end]); err != nil {
				return err
			}
		}
	} else {
		if err := s.spill(); err != nil {
			return err
		}
		s.frames, s.index = nil, nil
		if err := s.merge(s.runs, add); err != nil {
			return err
		}
	}
	if len(out) == 0 {
		return nil
	}
	_, err := s.w.Write(out)
	return err
}

// merge calls f with what is in runs, in order, up to the limit.
func (s *sorter) merge(runs []*os.File, f func(key, line []byte) error) error {
	h := &heads{compare: s.compare}
	for _, file := range runs {
		r := &run{r: bufio.NewReaderSize(file, sortBuffer)}
		switch err := r.next(); {
		case err == nil:
			h.runs = append(h.runs, r)
		case !errors.Is(err, io.EOF):
			return fmt.Errorf("sort: %w", err)
		}
	}
	heap.Init(h)
	for n := 0; len(h.runs) > 0 && (s.limit == 0 || n < s.limit); n++ {
		r := h.runs[0]
		if err := f(r.key, r.line); err != nil {
			return err
		}
		switch err := r.next(); {
		case err == nil:
			heap.Fix(h, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(h)
		default:
			return fmt.Errorf("sort: %w", err)
		}
	}
	return nil
}

// run is a file that is read.
type run struct {
	r         *bufio.Reader
	key, line []byte
}

func (r *run) next() error {
	for i, part := range []*[]byte{&r.key, &r.line} {
		size, err := binary.ReadUvarint(r.r)
		if err != nil {
			if i > 0 || errors.Is(err, io.ErrUnexpectedEOF) {
				err = errFrame
			}
			return err
		}
		if uint64(cap(*part)) < size {
			*part = make([]byte, size)
		}
		*part = (*part)[:size]
		if _, err := io.ReadFull(r.r, *part); err != nil {
			return errors.Join(errFrame, err)
		}
	}
	return nil
}

// heads is a heap of runs by what comes next in each.
type heads struct {
	runs    []*run
	compare func(a, b []byte) int
}

func (h *heads) Len() int           { return len(h.runs) }
func (h *heads) Less(i, j int) bool { return h.compare(h.runs[i].key, h.runs[j].key) < 0 }
func (h *heads) Swap(i, j int)      { h.runs[i], h.runs[j] = h.runs[j], h.runs[i] }
func (h *heads) Push(x any)         { h.runs = append(h.runs, x.(*run)) }
func (h *heads) Pop() any {
	last := h.runs[len(h.runs)-1]
	h.runs = h.runs[:len(h.runs)-1]
	return last
}
