package stats

import (
	"strings"
	"unicode/utf8"
)

// Path is a path in JSON: "path" is a form to print, and where that is not
// exactly the path, because it is not UTF-8, "path_b64" has its bytes. Embed it
// where an object has a path. The zero value is the empty path.
type Path struct {
	Printable string `json:"path"`
	Bytes     []byte `json:"path_b64,omitempty"`
}

// PathOf returns the form for JSON of a path of any bytes.
func PathOf(path string) Path {
	if utf8.ValidString(path) {
		return Path{Printable: path}
	}
	return Path{Printable: strings.ToValidUTF8(path, "\uFFFD"), Bytes: []byte(path)}
}

// String is the path itself.
func (p Path) String() string {
	if len(p.Bytes) > 0 {
		return string(p.Bytes)
	}
	return p.Printable
}
