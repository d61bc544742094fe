package hydra

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

const (
	// maxErrors is how many errors a result lists.
	maxErrors = 1000
	// maxErrorText is the longest text of one error, in bytes: a handler may
	// put anything into it.
	maxErrorText = 1000
)

// ErrorItem says what could not be done to one entry, and how often that
// happened.
type ErrorItem struct {
	Op    string // see the Op constants of package walk, or OpRecord
	Path  string // bytes as the file system has them
	Error string
	Count int64
}

// OpRecord is the operation of an [ErrorItem] that tells of records that could not
// be written: Path is their file, and Count how many they are.
const OpRecord = "record"

// OpSelect is the operation of an [ErrorItem] of [Worker.Undecided].
const OpSelect = "select"

// opsAside are the operations whose errors the walk does not count.
var opsAside = []string{OpRecord, OpSelect}

// errorsAside counts them.
func (l *errorLog) errorsAside() (n int64) {
	for _, op := range opsAside {
		n += l.counts[op]
	}
	return n
}

// causeOf is what an error about an entry says of its cause.
func causeOf(err error) error {
	var of *walk.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

func (e *ErrorItem) compare(o *ErrorItem) int {
	return cmp.Or(cmp.Compare(e.Path, o.Path), cmp.Compare(e.Op, o.Op), cmp.Compare(e.Error, o.Error))
}

// RefusedError is why an application changes nothing after it has counted what there
// is: it would be more than it may change.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// ErrorLimit is the error of a run that was ended by [Options.MaxErrors].
type ErrorLimit struct{ Limit int64 }

func (e *ErrorLimit) Error() string {
	if e.Limit == 1 {
		return "ended at the first error"
	}
	return fmt.Sprintf("ended after %d errors", e.Limit)
}

// errorLog collects the errors of a run. Its memory is bounded, and what it
// keeps does not depend on the order in which they come: once an item is pushed
// out by smaller ones it is too large for ever, so no count is lost.
type errorLog struct {
	limit int64           // 0: none
	end   func()          // called when the limit is reached
	roots map[string]bool // true: it could not be opened

	mu          sync.Mutex
	total       int64
	counts      map[string]int64 // by operation
	smallest    []ErrorItem      // sorted, at most maxErrors
	failedRoots int
	out         *bufio.Writer // nil: errors are not written down
	outErr      error
}

func newErrorLog(roots []string, out io.Writer, limit int64, end func()) *errorLog {
	l := &errorLog{
		limit:  limit,
		end:    end,
		roots:  make(map[string]bool, len(roots)),
		counts: map[string]int64{walk.OpOpen: 0, walk.OpStat: 0, walk.OpHandle: 0},
	}
	for _, r := range roots {
		l.roots[withoutSlash(r)] = false
	}
	if out != nil {
		l.out = bufio.NewWriterSize(out, 64<<10)
	}
	return l
}

// add takes one error. Any goroutine may call it.
func (l *errorLog) add(e *walk.Error) {
	item := ErrorItem{Op: e.Op, Path: e.Path, Error: errorText(e.Err), Count: 1}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	l.counts[item.Op]++
	if item.Op == walk.OpOpen {
		if failed, isRoot := l.roots[item.Path]; isRoot && !failed {
			l.roots[item.Path] = true
			l.failedRoots++
		}
	}
	l.keep(item)
	l.write(&item)
	if l.total == l.limit {
		l.end()
	}
}

// aside notes an error that is none of the walk: it does not count for its limit.
func (l *errorLog) aside(item *ErrorItem) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[item.Op] += item.Count
	l.keep(*item)
	l.write(item)
}

// empty says that there is nothing in it.
func (l *errorLog) empty() bool { return len(l.smallest) == 0 }

func (l *errorLog) keep(item ErrorItem) {
	full := len(l.smallest) == maxErrors
	if full && item.compare(&l.smallest[maxErrors-1]) > 0 {
		return
	}
	i, found := slices.BinarySearchFunc(l.smallest, item, func(a, b ErrorItem) int { return a.compare(&b) })
	if found {
		l.smallest[i].Count += item.Count
		return
	}
	if full {
		l.smallest = l.smallest[:maxErrors-1]
	}
	l.smallest = slices.Insert(l.smallest, i, item)
}

// absorb adds the errors of another log to this one.
func (l *errorLog) absorb(o *errorLog) {
	s := o.sum()
	l.take(&s)
}

// sum is what is written of the log.
func (l *errorLog) sum() sumOf {
	s := sumOf{Errors: l.smallest, Counts: l.counts, Total: l.total}
	for root, bad := range l.roots {
		if bad {
			s.BadRoots = append(s.BadRoots, root)
		}
	}
	slices.Sort(s.BadRoots)
	return s
}

// take adds the errors that a session counted.
func (l *errorLog) take(s *sumOf) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total += s.Total
	for op, n := range s.Counts {
		l.counts[op] += n
	}
	for _, item := range s.Errors {
		l.keep(item)
	}
	for _, root := range s.BadRoots {
		if bad, known := l.roots[root]; known && !bad {
			l.roots[root] = true
			l.failedRoots++
		}
	}
}

// clear forgets all errors.
func (l *errorLog) clear() {
	l.total, l.failedRoots, l.smallest = 0, 0, nil
	for _, op := range opsAside {
		delete(l.counts, op)
	}
	for op := range l.counts {
		l.counts[op] = 0
	}
	for root := range l.roots {
		l.roots[root] = false
	}
}

// write appends a line of JSON. After the first failure it writes no more.
func (l *errorLog) write(item *ErrorItem) {
	if l.out == nil || l.outErr != nil {
		return
	}
	line, err := json.Marshal(errorJSON{Op: item.Op, Path: stats.PathOf(item.Path), Error: item.Error})
	line = printed(line)
	if err == nil && len(line) >= l.out.Available() {
		err = l.out.Flush() // whole lines, also if the process is killed
	}
	if err == nil {
		_, err = l.out.Write(append(line, '\n'))
	}
	l.outErr = err
}

// close writes what is buffered, and returns why not all could be written.
func (l *errorLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out != nil && l.outErr == nil {
		l.outErr = l.out.Flush()
	}
	return l.outErr
}

// noRoot tells whether every root failed to open.
func (l *errorLog) noRoot() bool { return l.failedRoots == len(l.roots) }

func errorText(err error) string {
	text := err.Error()
	if len(text) > maxErrorText {
		text = text[:maxErrorText] + "..."
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	return text
}
