package hydra

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/stats"
)

// ActsDir is where the acts of runs in this process are written down that no other
// place is named for: a file of each run, by the name of its job.
func ActsDir() (string, error) {
	dir, err := userDir("XDG_STATE_HOME", filepath.Join(".local", "state"))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "acts"), nil
}

// actFile is the [actLog] of a run in this process: a file, which is synced before
// what it says is done. Nobody else can take the work over, so leases never end.
type actFile struct {
	path string

	head []byte // the first line

	mu   sync.Mutex
	f    *os.File // nil: nothing was written yet
	acts bool     // there are intents, not only notes
	err  error    // after which nothing is written any more
	left int64    // of the limit
	most int64    // 0: none

	spent bool // more was asked for than is left
}

// newActFile is the file in a directory, which has to be of use if it is needed for
// certain; else it is made with the first line.
func newActFile(dir string, head actHead, most int64, needed bool) (*actFile, error) {
	if dir == "" {
		var err error
		if dir, err = ActsDir(); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	if needed {
		if err := checkRecords(dir); err != nil {
			return nil, err
		}
	}
	return &actFile{path: filepath.Join(dir, head.Job+".jsonl"), head: append(printed(text), '\n'), left: most, most: most}, nil
}

// write writes lines. The caller holds mu.
func (a *actFile) write(lines []byte) error {
	if a.f == nil && a.err == nil {
		a.err = a.begin()
	}
	if a.err == nil {
		_, a.err = a.f.Write(lines)
	}
	if a.err != nil {
		return fmt.Errorf("what is changed can not be written down: %w", a.err)
	}
	return nil
}

// begin makes the file, so that it is there for certain.
func (a *actFile) begin() (err error) {
	if err := os.MkdirAll(filepath.Dir(a.path), 0o700); err != nil {
		return err
	}
	a.f, err = os.OpenFile(a.path, os.O_RDWR|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if d, err := os.Open(filepath.Dir(a.path)); err == nil {
		_ = d.Sync() // not every system can
		d.Close()
	}
	_, err = a.f.Write(a.head)
	return err
}

// Add implements actLog. What can not be written down ends the next Sync.
func (a *actFile) Add(lines []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.write(lines) // it stays
}

// Sync implements actLog.
func (a *actFile) Sync(_ context.Context, lines []byte) (client.Lease, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.write(lines)
	if err == nil {
		if a.err = a.f.Sync(); a.err != nil {
			err = fmt.Errorf("what is changed can not be written down: %w", a.err)
		}
	}
	a.acts = true
	return client.Lease{}, err
}

// Begin implements actLog.
func (a *actFile) Begin(client.Lease) (bool, error) { return true, nil }

// End implements actLog.
func (a *actFile) End() {}

// Grant implements actLog.
func (a *actFile) Grant(_ context.Context, n int64) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.most == 0 {
		return n, nil
	}
	if n = min(n, a.left); n == 0 {
		a.spent = true
		return 0, client.ErrSpent
	}
	a.left -= n
	return n, nil
}

// isSpent says that acts were not done for the limit was reached.
func (a *actFile) isSpent() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.spent
}

// read reads what was written so far.
func (a *actFile) read(f func(*actLine) error) error {
	file, err := os.Open(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // there is nothing in it
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return readLines(file, f)
}

// decodeFirst decodes the first line of a file.
func decodeFirst(r io.Reader, into any) error { return json.NewDecoder(r).Decode(into) }

// readLines decodes the lines of a file, some at a time.
func readLines(r io.Reader, f func(*actLine) error) error {
	var rest []byte
	buf := make([]byte, 1<<20)
	for {
		n, err := r.Read(buf)
		rest = append(rest, buf[:n]...)
		end := bytes.LastIndexByte(rest, '\n') + 1
		if err == io.EOF {
			end = len(rest) // a torn line is left out
		} else if err != nil {
			return err
		}
		if lineErr := eachLine(rest[:end], f); lineErr != nil {
			return lineErr
		}
		if err == io.EOF {
			return nil
		}
		rest = append(rest[:0], rest[end:]...)
	}
}

// close returns the path of the file, "" if nothing was changed: then it is removed.
func (a *actFile) close() (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.f == nil {
		return "", a.err
	}
	err := a.err
	if err == nil {
		err = a.f.Sync()
	}
	err = errors.Join(err, a.f.Close())
	if !a.acts {
		return "", errors.Join(err, os.Remove(a.path))
	}
	return a.path, err
}

func newActHead(job, app, host string, roots []string, settings []byte) actHead {
	h := actHead{Schema: ActSchema, Job: job, App: app, Host: host, Started: time.Now().UTC(), Settings: settings}
	for _, r := range roots {
		h.Paths = append(h.Paths, stats.PathOf(r))
	}
	return h
}
