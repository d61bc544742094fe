package purge

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
)

// sortMemory is how much a sorter holds before it writes it to a file.
const sortMemory = 64 << 20

// sorter sorts any number of pairs by key in bounded memory: when it holds enough it
// writes that, sorted, behind what is in its file already, and merges in the end.
type sorter struct {
	memory int // that is held at most, in bytes
	dir    string

	held  []byte
	pairs []pair
	f     *os.File // nil: nothing was written yet
	runs  []run
	end   int64
}

// pair lies in sorter.held: the value stands behind the key.
type pair struct{ at, key, value int }

// run is a sorted part of the file.
type run struct{ at, n int64 }

// perPair is what a pair takes besides its bytes.
const perPair = 32

func newSorter(dir string) *sorter { return &sorter{memory: sortMemory, dir: dir} }

func (s *sorter) add(key, value []byte) error {
	if len(s.pairs) > 0 && len(s.held)+len(key)+len(value)+perPair*(len(s.pairs)+1) > s.memory {
		if err := s.write(); err != nil {
			return err
		}
	}
	s.pairs = append(s.pairs, pair{len(s.held), len(key), len(value)})
	s.held = append(append(s.held, key...), value...)
	return nil
}

func (s *sorter) key(p pair) []byte { return s.held[p.at : p.at+p.key] }

func (s *sorter) value(p pair) []byte { return s.held[p.at+p.key : p.at+p.key+p.value] }

func (s *sorter) sort() {
	slices.SortFunc(s.pairs, func(a, b pair) int {
		return cmp.Or(bytes.Compare(s.key(a), s.key(b)), bytes.Compare(s.value(a), s.value(b)))
	})
}

// write puts what is held into the file.
func (s *sorter) write() error {
	if s.f == nil {
		f, err := scratch(s.dir)
		if err != nil {
			return err
		}
		s.f = f
	}
	s.sort()
	w := bufio.NewWriterSize(s.f, 256<<10)
	n := int64(0)
	for _, p := range s.pairs {
		size, err := writePair(w, s.key(p), s.value(p))
		if err != nil {
			return err
		}
		n += int64(size)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	s.runs = append(s.runs, run{s.end, n})
	s.end += n
	s.held, s.pairs = s.held[:0], s.pairs[:0]
	return nil
}

// scratch makes a file that nobody else sees, and that is gone when it is closed.
func scratch(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "hydra-purge-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(f.Name()) // where an open file can not be removed, discard does it
	return f, nil
}

// discard closes a scratch file.
func discard(f *os.File) {
	if f != nil {
		_ = f.Close() // nobody reads it any more
		if runtime.GOOS == "windows" {
			_ = os.Remove(f.Name()) // elsewhere it is gone, and the name may be another's
		}
	}
}

func (s *sorter) close() {
	discard(s.f)
	s.f = nil
}

// all calls yield for each pair, in order. Key and value are valid until it returns.
func (s *sorter) all(yield func(key, value []byte) error) error {
	if len(s.runs) == 0 {
		s.sort()
		for _, p := range s.pairs {
			if err := yield(s.key(p), s.value(p)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := s.write(); err != nil {
		return err
	}
	var h merging
	for _, r := range s.runs {
		c := &cursor{r: bufio.NewReaderSize(io.NewSectionReader(s.f, r.at, r.n), 32<<10)}
		if err := c.next(); err == nil {
			h = append(h, c)
		} else if !errors.Is(err, io.EOF) {
			return err
		}
	}
	heap.Init(&h)
	for len(h) > 0 {
		c := h[0]
		if err := yield(c.key, c.value); err != nil {
			return err
		}
		switch err := c.next(); {
		case err == nil:
			heap.Fix(&h, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(&h)
		default:
			return err
		}
	}
	return nil
}

// cursor is a place in a run.
type cursor struct {
	r          *bufio.Reader
	key, value []byte
}

func (c *cursor) next() (err error) {
	c.key, c.value, err = readPair(c.r, c.key, c.value)
	return err
}

// merging is a heap of runs by their next pair.
type merging []*cursor

func (h merging) Len() int { return len(h) }
func (h merging) Less(i, j int) bool {
	return cmp.Or(bytes.Compare(h[i].key, h[j].key), bytes.Compare(h[i].value, h[j].value)) < 0
}
func (h merging) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *merging) Push(x any)   { *h = append(*h, x.(*cursor)) }
func (h *merging) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	*h = (*h)[:last]
	return c
}

func writePair(w *bufio.Writer, key, value []byte) (int, error) {
	var head [2 * binary.MaxVarintLen64]byte
	n := binary.PutUvarint(head[:], uint64(len(key)))
	n += binary.PutUvarint(head[n:], uint64(len(value)))
	for _, part := range [][]byte{head[:n], key, value} {
		if _, err := w.Write(part); err != nil {
			return 0, err
		}
	}
	return n + len(key) + len(value), nil
}

// readPair reads a pair into buffers, which it may replace. io.EOF is the end.
func readPair(r *bufio.Reader, key, value []byte) (_, _ []byte, err error) {
	nk, err := binary.ReadUvarint(r)
	if err != nil {
		return key, value, err // io.EOF only before the first byte
	}
	nv, err := binary.ReadUvarint(r)
	if err == nil {
		key, err = readInto(r, key, nk)
	}
	if err == nil {
		value, err = readInto(r, value, nv)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return key, value, err
}

func readInto(r *bufio.Reader, b []byte, n uint64) ([]byte, error) {
	b = slices.Grow(b[:0], int(n))[:n]
	_, err := io.ReadFull(r, b)
	return b, err
}
