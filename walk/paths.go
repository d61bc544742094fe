package walk

import (
	"path"
	"path/filepath"
	"strings"
)

// paths is how paths are written: the system's, or those of an fs.FS.
type paths struct {
	separator  string
	clean      func(string) string
	dir, base  func(string) string // of a clean path
	isAbsolute func(string) bool
}

var (
	systemPaths = paths{string(filepath.Separator), filepath.Clean, filepath.Dir, filepath.Base, filepath.IsAbs}
	fsPaths     = paths{"/", path.Clean, path.Dir, path.Base, path.IsAbs}
)

// isSeparator tells whether c stands between names; Windows takes two.
func (p *paths) isSeparator(c byte) bool { return c == '/' || c == p.separator[0] }

// below tells whether inner lies below outer by what is written; both are clean.
func (p *paths) below(inner, outer string) bool {
	if outer == "." {
		return inner != "." && !p.up(inner) && !p.isAbsolute(inner)
	}
	rest, ok := strings.CutPrefix(inner, strings.TrimSuffix(outer, p.separator)+p.separator)
	return ok && rest != "" && !p.up(rest)
}

// up tells whether a relative path begins with "..".
func (p *paths) up(path string) bool {
	return path == ".." || strings.HasPrefix(path, ".."+p.separator)
}

// names are those that lead from outer to inner, which lies below it.
func (p *paths) names(inner, outer string) []string {
	if outer != "." {
		inner = strings.TrimPrefix(strings.TrimPrefix(inner, outer), p.separator)
	}
	return strings.Split(inner, p.separator)
}

// under is the path of inner in a walk of path, which is outer by another name.
func (p *paths) under(path, inner, outer string) string {
	names := strings.Join(p.names(inner, outer), p.separator)
	if path == "." {
		return names
	}
	return strings.TrimSuffix(path, p.separator) + p.separator + names
}
