package hydra

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// absolute makes the roots independent of the working directory: absolute and
// clean. A root that names what is behind a symbolic link, as "link/" does,
// keeps a slash behind it.
//
// Of roots that overlap the walk drops those that it comes to anyway.
func absolute(given []string) ([]string, error) {
	roots := make([]string, 0, len(given))
	for _, path := range given {
		root, err := absoluteRoot(path)
		if err != nil {
			return nil, err
		}
		roots = append(roots, root)
	}
	return roots, nil
}

func absoluteRoot(path string) (string, error) {
	switch {
	case path == "":
		return "", &UsageError{errors.New("a path is empty")}
	case strings.IndexByte(path, 0) >= 0:
		return "", &UsageError{&fs.PathError{Op: "open", Path: path, Err: errors.New("a path can not contain a NUL byte")}}
	}
	last := path
	if i := lastSeparator(path); i >= 0 {
		last = path[i+1:]
	}
	behind := last == "" || last == "." || last == ".."
	root, err := filepath.Abs(parents(path))
	if err != nil {
		return "", err
	}
	if behind && !os.IsPathSeparator(root[len(root)-1]) {
		root += string(filepath.Separator)
	}
	return root, nil
}

// parents resolves path up to its last "..": the parent of a symbolic link's
// target is another one than the link's. What can not be resolved is taken as
// text.
func parents(path string) string {
	if runtime.GOOS == "windows" {
		return path // there the system itself takes ".." as text
	}
	if !filepath.IsAbs(path) && slices.Contains(strings.Split(path, "/"), "..") {
		// The working directory may have been entered by way of a link too.
		wd, err := os.Getwd()
		if err == nil {
			wd, err = filepath.EvalSymlinks(wd)
		}
		if err != nil {
			return path
		}
		path = wd + "/" + path
	}
	elements := strings.Split(path, "/")
	for i := len(elements) - 1; i > 0; i-- {
		if elements[i] != ".." {
			continue
		}
		resolved, err := filepath.EvalSymlinks(strings.Join(elements[:i+1], "/"))
		if err != nil {
			return path
		}
		return strings.Join(append([]string{resolved}, elements[i+1:]...), "/")
	}
	return path
}

func lastSeparator(path string) int {
	i := len(path) - 1
	for i >= 0 && !os.IsPathSeparator(path[i]) {
		i--
	}
	return i
}

// isVolume tells whether path is the root of a volume, as C:\ is.
func isVolume(path string) bool { return len(filepath.VolumeName(path))+1 == len(path) }
