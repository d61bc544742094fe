package walk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"unicode"
)

// Operations that an [Error] can name.
const (
	OpOpen     = "open"     // open a root, a directory, or an entry for a handler
	OpReaddir  = "readdir"  // list an open directory
	OpStat     = "stat"     // read the attributes of an entry
	OpReadlink = "readlink" // read the target of a symbolic link
	OpRemove   = "remove"   // remove an entry
	OpMove     = "move"     // move an entry
	OpMake     = "mkdir"    // make a directory
	OpHandle   = "handle"   // the handler itself
)

// Error says what could not be done to which entry.
type Error struct {
	Op   string // one of the Op constants
	Path string // bytes as the file system has them, perhaps not UTF-8
	Err  error  // the cause
	Dir  bool   // the entry is a directory

	gone bool // the entry vanished after it was listed
}

func (e *Error) Error() string { return e.Op + " " + printable(e.Path) + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// less orders errors by path, then by operation.
func (e *Error) less(o *Error) bool {
	if e.Path != o.Path {
		return e.Path < o.Path
	}
	return e.Op < o.Op
}

// PanicError is the cause when a handler panicked.
type PanicError struct {
	Value any
	Stack []byte
}

func (p *PanicError) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// SkipFile is returned by [Handler.File] for an entry that it does not process.
var SkipFile = errors.New("skip this file")

// Fatal makes an error that ends the walk; [Trees] returns err.
func Fatal(err error) error {
	if err == nil {
		err = errors.New("the handler failed, and did not say why")
	}
	return &fatalError{err}
}

// IsFatal tells whether err was made by [Fatal].
func IsFatal(err error) bool {
	var f *fatalError
	return errors.As(err, &f)
}

type fatalError struct{ err error }

func (f *fatalError) Error() string { return f.err.Error() }
func (f *fatalError) Unwrap() error { return f.err }

// cause strips what an [Error] says itself: operation and path.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var se *os.SyscallError
	if errors.As(err, &se) {
		return se.Err
	}
	return err
}

// printable quotes a path that would not print as itself on one line.
func printable(path string) string {
	odd := func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }
	if path == "" || strings.IndexFunc(path, odd) >= 0 {
		return strconv.Quote(path)
	}
	return path
}
