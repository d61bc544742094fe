package hydra

import (
	"path/filepath"
	"strings"

	"github.com/hydrawalk/hydra/walk"
)

// FlagValues annotates a flag of an application with values that a shell offers for it:
// see [github.com/spf13/pflag.FlagSet.SetAnnotation].
const FlagValues = "hydra_values"

// Globs tell which entries match one of several globs, each of which is as that of a
// [Rule]. Only one goroutine may use them.
type Globs struct {
	rules *rules
	path  []byte // scratch
}

// NewGlobs compiles globs. Its error is a [UsageError].
func NewGlobs(globs []string) (*Globs, error) {
	var list []Rule
	for _, g := range globs {
		list = append(list, Rule{Glob: g})
	}
	rs, err := compileRules(list)
	if err != nil {
		return nil, err
	}
	if rs == nil {
		rs = new(rules)
	}
	return &Globs{rules: rs}, nil
}

// Match tells whether an entry matches. It does not allocate, but where separators have to
// be replaced.
func (g *Globs) Match(e *walk.Entry) bool {
	path, rel := "", 0
	if g.rules.paths {
		g.path = e.AppendPath(g.path[:0])
		path, rel = g.below(e.Root())
	}
	name := view(e.NameBytes())
	if e.Dir() == nil {
		name = base(name) // a root is called as it was given
	}
	return g.rules.leavesOut(name, path, rel, e.IsDir())
}

// MatchDir tells whether a directory matches.
func (g *Globs) MatchDir(d *walk.Dir) bool {
	path, rel := "", 0
	if g.rules.paths {
		g.path = d.AppendPath(g.path[:0])
		path, rel = g.below(d.Root())
	}
	return g.rules.leavesOut(base(d.Name()), path, rel, true)
}

// below is the path at hand, and where in it what is below the root begins.
func (g *Globs) below(root string) (path string, rel int) {
	if filepath.Separator != '/' {
		g.path = []byte(filepath.ToSlash(string(g.path)))
	}
	path = view(g.path)
	rel = min(len(root), len(path))
	for rel < len(path) && path[rel] == '/' {
		rel++
	}
	if root == "." {
		rel = 0 // only in a tree that has no absolute paths
	}
	return path, rel
}

// base is the last element of a path.
func base(path string) string {
	end := len(path)
	for end > 1 && isSeparator(path[end-1]) {
		end--
	}
	path = path[:end]
	if i := strings.LastIndexFunc(path, func(r rune) bool { return r < 0x80 && isSeparator(byte(r)) }); i >= 0 && i < end-1 {
		path = path[i+1:]
	}
	return path
}

func isSeparator(b byte) bool { return b == '/' || b == filepath.Separator }
