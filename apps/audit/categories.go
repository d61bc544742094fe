package audit

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// other is the category of extensions that are in none.
const other = "other"

// Categories has the category of each extension that is in one.
type Categories map[string]string

//go:embed categories.txt
var builtIn []byte

// builtInCategories are those that apply where a user has none of their own.
var builtInCategories = sync.OnceValue(func() Categories {
	c, err := parseCategories("categories.txt", builtIn)
	if err != nil {
		panic(err)
	}
	return c
})

// parseCategories reads lines "category: extension extension ...". Empty lines
// and those that begin with # do not count.
func parseCategories(file string, text []byte) (Categories, error) {
	c := Categories{}
	number := 0
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // as some editors begin a file
	for line := range bytes.Lines(text) {
		number++
		fail := func(format string, args ...any) (Categories, error) {
			return nil, fmt.Errorf("%s:%d: %s", file, number, fmt.Sprintf(format, args...))
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if !utf8.Valid(line) {
			return fail("it is not UTF-8")
		}
		name, list, ok := strings.Cut(string(line), ":")
		name = strings.TrimSpace(name)
		switch {
		case !ok || name == "":
			return fail("a line is a category and its extensions, as \"image: jpg png\"")
		case name == other:
			return fail("%q is what is in no category", other)
		}
		for word := range strings.FieldsSeq(list) {
			ext := string(extension([]byte("x."+strings.TrimPrefix(word, ".")), nil))
			switch in, twice := c[ext]; {
			case strings.Contains(strings.TrimPrefix(word, "."), ".") || ext == "":
				return fail("%q is no extension: that is what follows the last dot", word)
			case twice:
				return fail("%q is in %q already", word, in)
			}
			c[ext] = name
		}
	}
	if len(c) == 0 {
		return nil, fmt.Errorf("%s: there is no category in it, as \"image: jpg png\"", file)
	}
	return c, nil
}

// names are the categories in order.
func (c Categories) names() []string {
	return slices.Compact(slices.Sorted(maps.Values(c)))
}

// extension is what follows the last dot of a name, in lower case: nothing if
// there is no dot, or only ones that the name begins with, as in ".profile". It
// lies in buf, which is grown as needed.
func extension(name, buf []byte) []byte {
	dot := bytes.LastIndexByte(name, '.')
	if dot < 0 || len(bytes.TrimLeft(name[:dot], ".")) == 0 {
		return buf[:0]
	}
	buf = append(buf[:0], name[dot+1:]...)
	ascii := true
	for i, b := range buf {
		if 'A' <= b && b <= 'Z' {
			buf[i] = b + 'a' - 'A'
		}
		ascii = ascii && b < utf8.RuneSelf
	}
	if !ascii && utf8.Valid(buf) {
		buf = append(buf[:0], bytes.ToLower(buf)...)
	}
	return buf
}
