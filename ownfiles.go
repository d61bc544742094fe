package hydra

import (
	"path/filepath"
	"strings"
)

// ownFiles are rules that leave out what Hydra itself writes: an application that
// changes things is not to change its own records.
func ownFiles(more ...string) []Rule {
	dirs := more
	if dir, err := userDir("XDG_STATE_HOME", filepath.Join(".local", "state")); err == nil {
		dirs = append(dirs, dir)
	}
	var rules []Rule
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		if abs, err := filepath.Abs(dir); err == nil {
			dir = abs
		}
		rules = append(rules, Rule{Glob: literal(dir)})
		if real, err := filepath.EvalSymlinks(dir); err == nil && real != dir {
			rules = append(rules, Rule{Glob: literal(real)})
		}
	}
	return rules
}

// literal is a glob that matches only a path.
func literal(path string) string {
	var b strings.Builder
	for _, c := range []byte(filepath.ToSlash(path)) {
		if strings.IndexByte(`*?[]{}\\!`, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}
