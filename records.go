package hydra

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// checkRecords makes the directory for records, and finds out before a walk
// whether it can be used. "" is none.
func checkRecords(dir string) error {
	if dir == "" {
		return nil
	}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, ".probe-*"); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		return &UsageError{fmt.Errorf("the directory for records can not be used: %w", err)}
	}
	return nil
}

// recorder makes the files of what an application records in one run, or in one
// session of a job. A nil one makes none.
type recorder struct {
	dir   string // is made with the first record
	names string // of the files begin so
	head  recordHead

	mu    sync.Mutex
	files []*recordFile
}

// recordHead says in each line what it is about.
type recordHead struct {
	Job    string `json:"job"`
	App    string `json:"app"`
	Client string `json:"client,omitempty"`
	Host   string `json:"host"`
	Worker int    `json:"worker"`
}

func newRecorder(dir, names string, head recordHead) *recorder {
	return &recorder{dir: dir, names: names, head: head}
}

// file is that of a worker: nil where nothing is recorded.
func (r *recorder) file(worker int) *recordFile {
	if r == nil {
		return nil
	}
	head := r.head
	head.Worker = worker
	text, err := json.Marshal(head)
	if err != nil {
		panic(err) // strings and a number
	}
	who := fmt.Sprintf("worker-%d", worker)
	if worker == tailWorker {
		who = "tail"
	}
	f := &recordFile{
		path: filepath.Join(r.dir, fmt.Sprintf("%s-%s.jsonl", r.names, who)),
		head: append(append([]byte(","), printed(text[1:len(text)-1])...), `,"record":`...),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files = append(r.files, f)
	return f
}

// close closes all files. It does not wait for a worker that hangs.
func (r *recorder) close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.files {
		f.close()
	}
}

// recordBuffer is how much of a file is held back.
const recordBuffer = 64 << 10

// recordFile is what one worker records. Its worker writes; close may be called by
// others.
type recordFile struct {
	path string
	head []byte // of each line, after the time

	mu      sync.Mutex
	f       *os.File // nil: not opened yet
	buf     []byte   // whole lines
	held    int64    // lines in buf
	written int64    // lines since the last sync
	torn    bool     // the file ends within a line
	lost    int64    // lines, which flush tells of
	err     error    // why
	closed  atomic.Bool
}

func (r *recordFile) add(v any) error {
	r.mu.Lock()
	defer r.unlock()
	text, err := json.Marshal(v)
	if err != nil {
		return r.fail(1, fmt.Errorf("record %T: %w", v, err))
	}
	if len(r.buf) > 0 && len(r.buf)+len(text)+len(r.head) > recordBuffer {
		err = r.write() // of those before
	}
	r.buf = append(r.buf, `{"at":"`...)
	r.buf = time.Now().UTC().AppendFormat(r.buf, time.RFC3339Nano)
	r.buf = append(append(append(r.buf, '"'), r.head...), printed(text)...)
	r.buf = append(r.buf, "}\n"...)
	r.held++
	return err
}

// sync puts all on the disk.
func (r *recordFile) sync() error {
	r.mu.Lock()
	defer r.unlock()
	err := r.write()
	if r.written == 0 || r.f == nil {
		return err
	}
	n := r.written
	r.written = 0
	// After an error nobody knows what of it is there.
	if syncErr := r.f.Sync(); syncErr != nil {
		return errors.Join(err, r.fail(n, syncErr))
	}
	return err
}

// flush writes what is held back. It returns what was lost since it was called
// last, nil if nothing was.
func (r *recordFile) flush() *ErrorItem {
	r.mu.Lock()
	defer r.unlock()
	_ = r.write() // which is told here
	if r.lost == 0 {
		return nil
	}
	item := &ErrorItem{Op: OpRecord, Path: r.path, Error: errorText(r.err), Count: r.lost}
	r.lost, r.err = 0, nil
	return item
}

// fail notes why lines were lost.
func (r *recordFile) fail(lines int64, err error) error {
	var pe *fs.PathError
	cause := err
	if errors.As(err, &pe) {
		cause = pe.Err
	}
	if r.lost += lines; r.err == nil {
		r.err = cause
	}
	return err
}

// write writes what is held back. What can not be written is lost; the next lines
// are tried again.
func (r *recordFile) write() error {
	if r.held == 0 {
		return nil
	}
	n, err := r.append(r.buf)
	whole := r.buf[:bytes.LastIndexByte(r.buf[:n], '\n')+1]
	lines := int64(bytes.Count(whole, []byte{'\n'}))
	r.written += lines
	if err != nil {
		if n > len(whole) {
			r.mend(int64(n - len(whole)))
		}
		err = r.fail(r.held-lines, err)
	}
	r.buf, r.held = r.buf[:0], 0
	if cap(r.buf) > 2*recordBuffer {
		r.buf = nil
	}
	return err
}

func (r *recordFile) append(text []byte) (int, error) {
	if r.closed.Load() {
		return 0, &fs.PathError{Op: "write", Path: r.path, Err: fs.ErrClosed}
	}
	if r.f == nil {
		if err := os.MkdirAll(filepath.Dir(r.path), 0o700); err != nil {
			return 0, err
		}
		f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return 0, err
		}
		r.f = f
	}
	if r.torn {
		if _, err := r.f.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		r.torn = false
	}
	return r.f.Write(text)
}

// mend takes a part of a line off the end of the file, which readers would stumble
// over.
func (r *recordFile) mend(part int64) {
	end, err := r.f.Seek(0, io.SeekEnd)
	if err == nil {
		err = r.f.Truncate(end - part)
	}
	r.torn = err != nil
}

// close closes the file, now or when its worker is done with what it does. Its last
// flush was before that, unless it hangs.
func (r *recordFile) close() {
	r.closed.Store(true)
	r.settle()
}

func (r *recordFile) unlock() {
	r.mu.Unlock()
	if r.closed.Load() {
		r.settle()
	}
}

// settle closes the file of which close was called, if nobody has it in hand: who
// has does it.
func (r *recordFile) settle() {
	if r.mu.TryLock() {
		defer r.mu.Unlock()
		if r.f != nil {
			_ = r.f.Close() // what was written counts
			r.f = nil
		}
	}
}
