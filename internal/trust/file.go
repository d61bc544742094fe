package trust

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// maxFile bounds what is read, in bytes. It is far above what is written.
const maxFile = 64 << 20

// makePrivate makes a directory, if there is none, and refuses one that others can read
// or write to.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return isPrivate(d, "700")
}

// isPrivate tells why others could read what is open.
func isPrivate(f *os.File, mode string) error {
	st, err := f.Stat()
	if err == nil && runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%s holds secrets, and others than its owner can use it: chmod %s it", f.Name(), mode)
	}
	return err
}

// readPrivate reads a file that nobody else can read. It gives fs.ErrNotExist if there
// is none.
func readPrivate(name string) ([]byte, error) {
	// What is looked at is what is read, whatever is put in its place meanwhile.
	f, err := openNow(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil {
		return nil, err
	} else if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	if err := isPrivate(f, "600"); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s is too large: no more than %d bytes were ever written to it", name, maxFile)
	}
	return text, nil
}

// writePrivate replaces a file, durably: after it, a crash of the machine finds the new
// one, and before, the old one. One caller at a time.
func writePrivate(name string, text []byte) (err error) {
	beside := name + ".new"
	// One is left by a process that was killed, with whatever mode.
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(beside, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(beside, name)
	}
	if err != nil {
		os.Remove(beside)
		return err
	}
	if runtime.GOOS == "windows" {
		return nil // it has no way to write a directory out
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
