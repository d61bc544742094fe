package check

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/hydrawalk/hydra/walk"
)

// symlink looks at a symbolic link.
func (c *checker) symlink(e *walk.Entry) error {
	if c.on.has(anySymlink) {
		c.find(anySymlink, e, finding{})
	}
	if c.on&setOf(symlinkBroken, symlinkAbsolute, symlinkOutside) == 0 {
		return walk.SkipFile
	}
	target, err := e.Readlink()
	if err != nil {
		return err
	}
	told := func(detail string) (f finding) {
		f.Detail = detail
		f.setTarget(target)
		return f
	}
	if c.on.has(symlinkAbsolute) && isAbsolute(target) {
		c.find(symlinkAbsolute, e, told(""))
	}
	if c.on&setOf(symlinkBroken, symlinkOutside) == 0 {
		return walk.SkipFile
	}
	root, below := e.Root(), ""
	if d := e.Dir(); d != nil {
		below = d.Path()[min(len(root), len(d.Path())):]
	} else {
		root = filepath.Dir(root) // a PATH that is a link: as if what holds it were one
	}
	switch c.lister.resolve(root, below, target) {
	case outside:
		if c.on.has(symlinkOutside) {
			c.find(symlinkOutside, e, told(""))
		}
	case broken:
		if c.on.has(symlinkBroken) {
			c.find(symlinkBroken, e, told("nothing is there"))
		}
	case looping:
		if c.on.has(symlinkBroken) {
			c.find(symlinkBroken, e, told("it leads in a circle"))
		}
	case unknown:
		c.stats.SymlinkUnknown.Inc()
	}
	return walk.SkipFile
}

// Where a symbolic link leads.
type fate int

const (
	inside  fate = iota // to something below the root
	outside             // out of the root
	broken              // to nothing
	looping             // to more links than a system follows
	unknown             // to another file system, or to where nobody may look
)

// mostLinks is how many links are followed, as many as Linux does.
const mostLinks = 40

// resolver finds where symbolic links lead. It never leaves the root and never follows a
// link: it asks for what each element of the path is, from the root on, and so opens and
// mounts nothing. It does not go on into another file system, which may hang.
type resolver struct {
	lstat    func(string) (fs.FileInfo, error) // tests set these
	readlink func(string) (string, error)
	deviceOf func(fs.FileInfo) (uint64, bool)

	within *walk.Within // what it asks; nil: the system
}

// resolve resolves the target of a link in the directory below of a root.
func (r *resolver) resolve(root, below, target string) fate {
	lstat, readlink, deviceOf := r.lstat, r.readlink, r.deviceOf
	if lstat == nil {
		lstat, readlink, deviceOf = r.within.Lstat, r.within.Readlink, device
	}
	at := elements(below) // none of them is a link: the walk came through them
	rest, ok := begin(root, target, &at)
	if !ok {
		return outside
	}
	var on uint64 // the device of the root
	hasDevice := false
	if len(rest) > 0 {
		info, err := lstat(root)
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			info, err = lstat(root + string(os.PathSeparator)) // it was given with a slash
		}
		if err != nil {
			return unknown
		}
		on, hasDevice = deviceOf(info)
	}
	for links := 0; len(rest) > 0; {
		element := rest[0]
		rest = rest[1:]
		if element == ".." {
			if len(at) == 0 {
				return outside
			}
			at = at[:len(at)-1]
			continue
		}
		path := join(root, append(slices.Clone(at), element))
		info, err := lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
			return broken
		case err != nil:
			return unknown
		}
		if dev, ok := deviceOf(info); ok && hasDevice && dev != on {
			if len(rest) == 0 {
				return inside // that it is there is known
			}
			return unknown
		}
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			if links++; links > mostLinks {
				return looping
			}
			next, err := readlink(path)
			if err != nil {
				return unknown
			}
			more, ok := begin(root, next, &at)
			if !ok {
				return outside
			}
			rest = append(more, rest...)
		case info.IsDir():
			at = append(at, element)
		case len(rest) > 0:
			return broken // it would have to be a directory
		default:
			at = append(at, element)
		}
	}
	return inside
}

// begin splits a target into its elements. An absolute one begins at the root, if it is
// written as lying below it. False: it lies elsewhere.
func begin(root, target string, at *[]string) ([]string, bool) {
	if !isAbsolute(target) {
		return elements(target), true
	}
	// Before elements of it are dropped: what a ".." leads to may be a link's.
	of, all := elements(root), elements(target)
	if len(all) < len(of) || !slices.Equal(all[:len(of)], of) || !strings.EqualFold(filepath.VolumeName(root), filepath.VolumeName(target)) {
		return nil, false
	}
	*at = (*at)[:0]
	return all[len(of):], true
}

// elements are the elements of a path without its volume, but "." and empty ones.
func elements(path string) []string {
	path = path[len(filepath.VolumeName(path)):]
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == os.PathSeparator })
	return slices.DeleteFunc(parts, func(s string) bool { return s == "." })
}

func join(root string, at []string) string {
	if root != "" && !isSeparator(root[len(root)-1]) {
		root += string(os.PathSeparator)
	}
	return root + strings.Join(at, string(os.PathSeparator))
}

// isAbsolute tells whether a target does not depend on where the link is. On Windows one
// that begins with a separator depends on the volume alone.
func isAbsolute(target string) bool {
	return filepath.IsAbs(target) || target != "" && isSeparator(target[0])
}
