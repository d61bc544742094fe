package walk

import (
	"path"
	"path/filepath"
	"strings"
)

// paths is how paths are written: the system's, or those of an fs.FS.
type paths struct {
	separator string
	clean     func(string) string
	dir, base func(string) string // of a clean path
}

var (
	systemPaths = paths{string(filepath.Separator), filepath.Clean, filepath.Dir, filepath.Base}
	fsPaths     = paths{"/", path.Clean, path.Dir, path.Base}
)

// isSeparator tells whether c stands between names; Windows takes two.
func (p *paths) isSeparator(c byte) bool { return c == '/' || c == p.separator[0] }

// below tells whether inner lies below outer by what is written. Both are clean,
// and absolute or names in an fs.FS.
func (p *paths) below(inner, outer string) bool {
	if outer == "." {
		return inner != "."
	}
	return inner != outer && strings.HasPrefix(inner, strings.TrimSuffix(outer, p.separator)+p.separator)
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
