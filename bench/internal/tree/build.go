package tree

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Manifest tells what is in a tree, so that others' counts can be checked.
type Manifest struct {
	Format string `json:"format"`
	Spec
	Dirs  int64 `json:"dirs"` // with the root
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"` // logical sizes of the files

	EmptyDirs      int64 `json:"empty_dirs"`
	MaxDepth       int   `json:"max_depth"`        // the root's is 0
	LargestDir     int64 `json:"largest_dir"`      // entries
	LongestDirPath int   `json:"longest_dir_path"` // bytes below the root
}

// format is raised when the same Spec makes another tree.
const format = "hydra-bench-tree/1"

// Ensure makes the tree of s in the directory dir and its manifest beside it,
// unless they are there. It returns the tree's path.
//
//	dir/NAME           the tree
//	dir/NAME.json      its manifest, written last
//	dir/NAME.building  there while it is incomplete
//
// A directory of that name that has neither of the two files was made by
// somebody else and is left alone.
func Ensure(ctx context.Context, dir string, s Spec) (path string, m Manifest, made bool, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", m, false, err
	}
	path = filepath.Join(dir, s.Name())
	manifest, building := path+".json", path+".building"

	_, err = os.Lstat(path)
	exists := err == nil
	if m, err = read(manifest); err == nil && exists && m.Spec == s && m.Format == format {
		return path, m, false, nil
	}
	ours := err == nil
	if _, err := os.Lstat(building); err == nil {
		ours = true
	}
	if exists && !ours {
		return "", m, false, fmt.Errorf("mktree %s: it exists and was not made by mktree", path)
	}
	plan, err := s.plan()
	if err != nil {
		return "", m, false, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", m, false, err
	}
	if err := os.WriteFile(building, nil, 0o644); err != nil {
		return "", m, false, err
	}
	if err := os.Remove(manifest); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", m, false, err
	}
	if err := os.RemoveAll(path); err != nil {
		return "", m, false, err
	}
	if m, err = s.build(ctx, path, plan); err != nil {
		return "", m, false, fmt.Errorf("mktree %s: %w", path, err)
	}
	if err := write(manifest, m); err != nil {
		return "", m, false, err
	}
	return path, m, true, os.Remove(building)
}

func read(path string) (m Manifest, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("read manifest %s: %w", path, err)
	}
	return m, nil
}

func write(path string, m Manifest) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// partSize is the number of files that a worker makes at a time.
const partSize = 5000

type part struct{ dir, from, to int }

func (s Spec) build(ctx context.Context, path string, plan []dir) (Manifest, error) {
	m := Manifest{Format: format, Spec: s}
	if err := unix.Mkdir(path, 0o755); err != nil {
		return m, fmt.Errorf("mkdir: %w", err)
	}
	root, err := unix.Open(path, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return m, fmt.Errorf("open: %w", err)
	}
	defer unix.Close(root)
	spread(root)

	if err := mkdirs(ctx, root, plan); err != nil {
		return m, err
	}
	var parts []part
	for i, d := range plan {
		for from := 0; from < int(d.files); from += partSize {
			parts = append(parts, part{i, from, min(from+partSize, int(d.files))})
		}
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, files, bytes atomic.Int64
	var wg sync.WaitGroup
	for range 2 * runtime.NumCPU() {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(parts) {
					return
				}
				n, err := s.fill(root, plan, parts[i])
				if err != nil {
					cancel(err)
					return
				}
				files.Add(int64(parts[i].to - parts[i].from))
				bytes.Add(n)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return m, err
	}
	// What is still to be written must not disturb the first measurements.
	if err := unix.Syncfs(root); err != nil {
		return m, fmt.Errorf("syncfs: %w", err)
	}
	m.Files, m.Bytes = files.Load(), bytes.Load()
	m.describe(plan)
	return m, nil
}

// spread asks the file system to put the directories of a directory far apart, as
// ext4 does at its root. Where many files were removed a while ago, a new one
// takes 20 us instead of 100 us of looking for a place. It is only asked: other
// file systems have no such flag.
func spread(fd int) {
	const topDir = 0x00020000 // FS_TOPDIR_FL
	if flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS); err == nil {
		_ = unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(flags|topDir))
	}
}

func (m *Manifest) describe(plan []dir) {
	entries := make([]int64, len(plan))
	length := make([]int, len(plan))
	for i, d := range plan {
		entries[i] += int64(d.files)
		m.MaxDepth = max(m.MaxDepth, int(d.depth))
		if d.parent >= 0 {
			entries[d.parent]++
			length[i] = length[d.parent] + len(d.name) + 1
		}
	}
	m.Dirs = int64(len(plan))
	m.LargestDir = slices.Max(entries)
	m.LongestDirPath = slices.Max(length)
	for _, n := range entries {
		if n == 0 {
			m.EmptyDirs++
		}
	}
}

// mkdirs makes the directories in the order of the plan, parents first.
func mkdirs(ctx context.Context, root int, plan []dir) error {
	open, fd := -1, -1
	defer func() {
		if fd >= 0 {
			unix.Close(fd)
		}
	}()
	for i, d := range plan[1:] {
		if int(d.parent) != open {
			if err := ctx.Err(); err != nil {
				return err
			}
			if fd >= 0 {
				unix.Close(fd)
				fd = -1
			}
			var err error
			if fd, err = openDir(root, plan, int(d.parent)); err != nil {
				return err
			}
			open = int(d.parent)
		}
		if err := unix.Mkdirat(fd, d.name, 0o755); err != nil {
			return fmt.Errorf("mkdir of directory %d, %s: %w", i+1, d.name, err)
		}
	}
	return nil
}

// openDir opens a directory of the plan by as few steps as PATH_MAX allows.
func openDir(root int, plan []dir, i int) (int, error) {
	const room = unix.PathMax - 256 - 2 // for one more name
	var names []string
	for a := i; a > 0; a = int(plan[a].parent) {
		names = append(names, plan[a].name)
	}
	at, path := root, []byte(".")
	step := func() error {
		fd, err := unix.Openat(at, string(path), unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open directory %d, %s: %w", i, path, err)
		}
		if at != root {
			unix.Close(at)
		}
		at, path = fd, append(path[:0], '.')
		return nil
	}
	for _, name := range slices.Backward(names) {
		path = append(append(path, '/'), name...)
		if len(path) > room {
			if err := step(); err != nil {
				if at != root {
					unix.Close(at)
				}
				return -1, err
			}
		}
	}
	if err := step(); err != nil {
		if at != root {
			unix.Close(at)
		}
		return -1, err
	}
	return at, nil
}

// fill makes files of a directory and returns the sum of their sizes.
func (s Spec) fill(root int, plan []dir, p part) (bytes int64, err error) {
	at, err := openDir(root, plan, p.dir)
	if err != nil {
		return 0, err
	}
	defer unix.Close(at)
	var buf []byte
	for i := p.from; i < p.to; i++ {
		name, size := s.file(buf, p.dir, i)
		buf = name
		fd, err := unix.Openat(at, string(name), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
		if err != nil {
			return bytes, fmt.Errorf("create %s in directory %d: %w", name, p.dir, err)
		}
		err = unix.Ftruncate(fd, size)
		unix.Close(fd)
		if err != nil {
			return bytes, fmt.Errorf("truncate %s in directory %d: %w", name, p.dir, err)
		}
		bytes += size
	}
	return bytes, nil
}

// DefaultDir is where trees are kept if nothing else is said: on a disk, since
// a file system in memory answers differently.
func DefaultDir() string {
	if d := os.Getenv("HYDRA_BENCH_DIR"); d != "" {
		return d
	}
	return "/var/tmp/hydra-bench"
}
