package hydra

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/hydrawalk/hydra/walk"
)

// Rule leaves out the entries that match a glob, or takes them back in. What is
// left out counts as filtered, and a directory that is left out is not entered.
type Rule struct {
	// Glob is a pattern: * and ? and [...] match within one name, ** matches
	// any number of directories, {a,b} alternatives.
	//
	// Without a slash it is matched with the name. With one it is matched with
	// the path relative to the root, or with the whole path if it is absolute
	// itself. With a slash at its end it matches only directories.
	Glob string
	// Include takes back in what an earlier rule left out.
	Include bool
}

// rules decide about entries. They are safe for concurrent use.
type rules struct {
	list  []rule // the last one first: the first that matches decides
	paths bool   // some rule needs the path
}

type rule struct {
	include  bool
	dirsOnly bool
	against  subject
	how      comparison
	text     string
}

// subject is what a rule is compared with.
type subject int

const (
	name subject = iota
	relative
	whole
)

// comparison is how a rule's text is compared. All but globbing are shortcuts
// for the patterns that people write most: *.o, .git, tmp*.
type comparison int

const (
	globbing comparison = iota
	equal
	prefix
	suffix
)

const special = `*?[{\`

func compileRules(given []Rule) (*rules, error) {
	if len(given) == 0 {
		return nil, nil
	}
	rs := &rules{}
	for i := len(given) - 1; i >= 0; i-- {
		r := rule{include: given[i].Include, text: filepath.ToSlash(given[i].Glob)}
		if len(r.text) > 1 && strings.HasSuffix(r.text, "/") {
			r.dirsOnly, r.text = true, strings.TrimRight(r.text, "/")
		}
		if r.text == "" || !doublestar.ValidatePattern(r.text) {
			return nil, &UsageError{fmt.Errorf("%q is not a glob", given[i].Glob)}
		}
		switch {
		case strings.HasPrefix(r.text, "/") || filepath.IsAbs(given[i].Glob):
			r.against = whole
		case strings.Contains(r.text, "/"):
			r.against = relative
			r.text = strings.TrimPrefix(r.text, "./")
		}
		rs.paths = rs.paths || r.against != name
		for _, text := range alternatives(r.text) {
			r.text = text
			r.shorten()
			rs.list = append(rs.list, r)
		}
	}
	return rs, nil
}

// shorten sets how.
func (r *rule) shorten() {
	r.how = globbing
	plain := func(s string) bool { return !strings.ContainsAny(s, special) }
	switch {
	case r.text == "" || plain(r.text):
		r.how = equal
	case r.against != name: // a star stops at slashes there
	case r.text[0] == '*' && plain(r.text[1:]): // also the star alone
		r.how, r.text = suffix, r.text[1:]
	case strings.HasSuffix(r.text, "*") && plain(r.text[:len(r.text)-1]):
		r.how, r.text = prefix, r.text[:len(r.text)-1]
	}
}

// alternatives writes out all {a,b} of a glob, for to match such a one costs
// allocations each time. Hardly anybody has classes beside them: such a glob is
// left as it is.
func alternatives(glob string) []string {
	all := expand(glob)
	if len(all) > maxAlternatives {
		return []string{glob}
	}
	return all
}

// expand returns at least maxAlternatives + 1 globs if there are more.
func expand(glob string) []string {
	open, depth, from := -1, 0, 0
	var inside []string
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; {
		case c == '\\':
			i++
		case c == '[':
			return []string{glob} // in a class a brace is only a brace
		case c == '{':
			if depth++; depth == 1 {
				open, from = i, i+1
			}
		case c == ',' && depth == 1:
			inside = append(inside, glob[from:i])
			from = i + 1
		case c == '}' && depth > 0:
			if depth--; depth > 0 {
				continue
			}
			var all []string
			for _, text := range append(inside, glob[from:i]) {
				all = append(all, expand(glob[:open]+text+glob[i+1:])...)
				if len(all) > maxAlternatives {
					return all
				}
			}
			return all
		}
	}
	return []string{glob}
}

// maxAlternatives is how many globs one is written out as; beyond it an
// allocation is the lesser evil.
const maxAlternatives = 100

func (r *rule) matches(s string) bool {
	switch r.how {
	case equal:
		return s == r.text
	case prefix:
		return strings.HasPrefix(s, r.text)
	case suffix:
		return strings.HasSuffix(s, r.text)
	default:
		return doublestar.MatchUnvalidated(r.text, s)
	}
}

// leavesOut tells whether an entry is left out: one with this name and path,
// the path relative to its root beginning at rel. The path may be empty unless
// rs.paths is set.
func (rs *rules) leavesOut(base, path string, rel int, isDir bool) bool {
	for i := range rs.list {
		r := &rs.list[i]
		if r.dirsOnly && !isDir {
			continue
		}
		s := base
		switch r.against {
		case relative:
			s = path[rel:]
		case whole:
			s = path
		}
		if r.matches(s) {
			return !r.include
		}
	}
	return false
}

// prunes tells whether the rules leave out inner, or a directory on the way to
// it, in a walk of outer, below which it lies. isDir tells what inner is.
func (rs *rules) prunes(outer, inner string, isDir func(string) bool) bool {
	rel := len(outer)
	if outer == "." {
		rel = 0 // in a tree that has no absolute paths
	}
	for rel < len(inner) && os.IsPathSeparator(inner[rel]) {
		rel++
	}
	from := rel
	for end := rel; end <= len(inner); end++ {
		if end < len(inner) && !os.IsPathSeparator(inner[end]) {
			continue
		}
		if rs.leavesOut(inner[from:end], filepath.ToSlash(inner[:end]), rel, end < len(inner) || isDir(inner)) {
			return true
		}
		from = end + 1
	}
	return false
}

// ruleFilter applies rules for one worker.
type ruleFilter struct {
	*rules
	path []byte // scratch
}

// filter drops what the rules leave out, in place. It does not allocate, but
// where separators have to be replaced.
func (f *ruleFilter) filter(entries []walk.Entry) []walk.Entry {
	kept := 0
	for i := range entries {
		e := &entries[i]
		path, rel := "", 0
		if f.paths {
			f.path = e.AppendPath(f.path[:0])
			if filepath.Separator != '/' {
				f.path = []byte(filepath.ToSlash(string(f.path)))
			}
			path = view(f.path)
			rel = len(e.Root())
			for rel < len(path) && path[rel] == '/' {
				rel++
			}
			if e.Root() == "." {
				rel = 0 // only in a tree that has no absolute paths
			}
		}
		if f.leavesOut(view(e.NameBytes()), path, rel, e.IsDir()) {
			continue
		}
		if kept != i {
			entries[kept] = *e
		}
		kept++
	}
	return entries[:kept]
}

// view is a string over bytes that do not change while it is used.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
