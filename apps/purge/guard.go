package purge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra/internal/owner"
	"github.com/hydrawalk/hydra/internal/report"
	"github.com/hydrawalk/hydra/walk"
)

// guard tells why files below a path are not to be deleted, as far as this machine
// can tell: a path of a cluster may not be there.
func guard(path string, homes []string) error {
	if isTop(path) {
		return refusal(path, "all of a file system")
	}
	if st, err := stat(path); err != nil || !st.IsDir() {
		return nil // whoever walks it says so
	}
	dir, err := os.Open(path + "/.") // whether a link leads there or not
	if err != nil {
		return nil
	}
	defer dir.Close()
	return guardOpen(path, dir, homes)
}

// guardOpen is guard for a directory that is open.
func guardOpen(path string, dir *os.File, homes []string) error {
	st, err := dir.Stat()
	switch {
	case err != nil:
		return err
	case sameAsAny(st, string(filepath.Separator)):
		return refusal(path, "the root directory")
	case sameAsAny(st, homes...):
		return refusal(path, "a home directory of yours")
	case isMountPoint(dir, st):
		return refusal(path, "the root of a mount")
	}
	return nil
}

func refusal(path, what string) error {
	return fmt.Errorf("%s is %s: if you mean it, give --force-root", report.Printable(path), what)
}

// guardWalked is guard for the root below which a directory lies that is walked: what
// was looked at before the question may be another one by now, and is so on other
// machines. Only of the root itself the walk can tell which it is; who is given what
// lies below takes nothing but the directory that was listed.
func guardWalked(within *walk.Within, d *walk.Dir, homes []string) error {
	path := d.Root()
	if isTop(path) {
		return refusal(path, "all of a file system")
	}
	dir, err := openRoot(within, path)
	if err == nil {
		defer dir.Close()
		if err := guardOpen(path, dir, homes); err != nil {
			return err
		}
	}
	if d.Depth() > 0 {
		return nil
	}
	var st walk.Stat
	if err := d.StatInto(&st); err != nil {
		return err
	}
	for _, other := range append(slices.Clip(homes), string(filepath.Separator)) {
		if fi, err := os.Stat(other); err == nil {
			if dev, ino, ok := idOf(fi); ok && dev == st.Dev && ino == st.Ino {
				return refusal(path, "what "+report.Printable(other)+" is")
			}
		}
	}
	if dir == nil {
		return nil // its path may be too long, or it was moved away
	}
	fi, err := dir.Stat()
	if err != nil {
		return err
	}
	// The device may be that of another mount: see --prefix.
	if _, ino, ok := idOf(fi); ok && ino != st.Ino {
		return fmt.Errorf("%s is another directory than a moment ago", report.Printable(path))
	}
	return nil
}

// openRoot opens a root of the walk by its path.
func openRoot(within *walk.Within, path string) (*os.File, error) {
	root, err := within.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(".")
}

// stat follows a symbolic link where the walk does.
func stat(path string) (fs.FileInfo, error) {
	if os.IsPathSeparator(path[len(path)-1]) {
		return os.Stat(path)
	}
	return os.Lstat(path)
}

// isTop tells whether there is nothing above a path, by its text.
func isTop(path string) bool {
	path = filepath.Clean(path)
	return filepath.Dir(path) == path
}

func sameAsAny(st fs.FileInfo, paths ...string) bool {
	return slices.ContainsFunc(paths, func(path string) bool {
		other, err := os.Stat(path)
		return err == nil && os.SameFile(st, other)
	})
}

// homes are the home directories of the user, also of the one who became another by
// sudo, and what the environment says it is.
func homes() []string {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	var all []string
	if home, err := os.UserHomeDir(); err == nil {
		all = append(all, home)
	}
	for _, id := range []string{strconv.Itoa(os.Geteuid()), strconv.Itoa(os.Getuid()), os.Getenv("SUDO_UID")} {
		if id == "" || id == "-1" { // which Windows has
			continue
		}
		if home, err := owner.Home(ctx, id); err == nil && home != "" {
			all = append(all, home)
		}
	}
	if u, err := user.Current(); err == nil && u.HomeDir != "" { // where there are no numbers
		all = append(all, u.HomeDir)
	}
	return all
}

// checkQuarantine tells why files of these paths can not be moved to a directory.
func checkQuarantine(dir string, paths []string, purge bool) error {
	to, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return checkDevices(dir, existing(dir), paths) // it will be made there
	}
	if err != nil {
		return nil // on a cluster; clients find out
	}
	if !to.IsDir() {
		return fmt.Errorf("--quarantine: %s is no directory", report.Printable(dir))
	}
	if purge {
		var st walk.Stat
		base, err := walk.OpenBase(dir)
		if err == nil {
			err = base.StatSelf(&st)
			_ = base.Close()
		}
		if err == nil {
			err = own(dir, &st)
		}
		if err != nil {
			return fmt.Errorf("--quarantine: %w", err)
		}
	}
	for _, path := range paths {
		if _, err := stat(path); err == nil && liesIn(path, to) {
			return fmt.Errorf("%s is in the quarantine directory, of which nothing is purged", report.Printable(path))
		}
	}
	return checkDevices(dir, to, paths)
}

// checkDevices tells whether a directory, which is to be or in one that is there, is on
// another file system than one of the paths. What is not on this machine is not looked at.
func checkDevices(dir string, in fs.FileInfo, paths []string) error {
	for _, path := range paths {
		if st, err := stat(path); err == nil && in != nil && !sameDevice(st, in) {
			return fmt.Errorf("--quarantine: %s is on another file system than %s, so nothing can be moved there", report.Printable(dir), report.Printable(path))
		}
	}
	return nil
}

// existing is the nearest of what a path lies in that is there.
func existing(path string) fs.FileInfo {
	for _, above := range ancestors(filepath.Clean(path))[1:] {
		if st, err := os.Stat(above); err == nil {
			return st
		}
	}
	return nil
}

// liesIn tells whether a path leads into a directory, whichever links it goes through.
func liesIn(path string, dir fs.FileInfo) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		real = path
	}
	return sameAsAny(dir, append(ancestors(filepath.Clean(path)), ancestors(real)...)...)
}

// ancestors are a path and what it lies in.
func ancestors(path string) []string {
	all := []string{path}
	for filepath.Dir(path) != path {
		path = filepath.Dir(path)
		all = append(all, path)
	}
	return all
}

// confirm refuses what is too dangerous, and tells what to ask.
func confirm(s Settings, paths []string) (string, error) {
	if s.Quarantine.String() != "" {
		if err := checkQuarantine(s.Quarantine.String(), paths, s.Purge); err != nil {
			return "", err
		}
	}
	if !s.Purge {
		return "", nil
	}
	if !s.ForceRoot {
		homes := homes()
		for _, path := range paths {
			if err := guard(path, homes); err != nil {
				return "", err
			}
		}
	}
	return s.question(paths), nil
}

// warn tells what a user is likely not to expect.
func warn(s Settings, paths []string) []string {
	var all []string
	links := 0
	for _, path := range paths {
		if st, err := stat(path); err == nil && st.Mode()&fs.ModeSymlink != 0 {
			if links++; links <= 3 {
				all = append(all, fmt.Sprintf("%s is a symbolic link, and stays: with a / at its end it is followed", report.Printable(path)))
			}
		}
	}
	if links > 3 {
		all = append(all, fmt.Sprintf("so are %d more paths", links-3))
	}
	if s.Purge {
		return all
	}
	if !s.All && s.IsAll() {
		all = append(all, "no rule is given, so that all files are counted: with --purge there has to be one, or --all")
	}
	if !s.ForceRoot {
		homes := homes()
		for _, path := range paths {
			if err := guard(path, homes); err != nil {
				return append(all, "with --purge this is refused: "+err.Error())
			}
		}
	}
	return all
}

// listed is how many paths a question shows.
const listed = 20

// question shows what is about to happen.
func (s *Settings) question(paths []string) string {
	var b strings.Builder
	if dir := s.Quarantine.String(); dir != "" {
		fmt.Fprintf(&b, "This moves into %s the regular files below\n", report.Printable(dir))
	} else {
		b.WriteString("This deletes the regular files below\n")
	}
	for _, path := range paths[:min(listed, len(paths))] {
		fmt.Fprintf(&b, "  %s\n", report.Printable(path))
	}
	if more := len(paths) - listed; more > 0 {
		fmt.Fprintf(&b, "  and %s more paths\n", humanize.Comma(int64(more)))
	}
	rule := s.describe()
	if len(rule) == 0 {
		b.WriteString("all of them.\n")
	} else {
		b.WriteString("that are\n")
		for _, line := range rule {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	if s.EmptyDirs {
		b.WriteString("and then the directories that are empty.\n")
	}
	if !s.MaxDelete.none() {
		fmt.Fprintf(&b, "It ends at %s.\n", s.MaxDelete.describe())
	}
	return b.String()
}

var errNoRule = errors.New("no rule says which files are meant: give one, as --older-than 90d, or --all")
