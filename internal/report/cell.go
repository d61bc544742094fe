package report

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable returns s as people can read it on one line: as it is when it is
// UTF-8 with nothing in it that is invisible or changes how the rest is shown,
// otherwise quoted as Go quotes strings. Nothing is lost, and no two strings
// look the same: what reads as a quoted string already is quoted once more.
func printable(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, hidden) || quoted(s) {
		return strconv.Quote(s)
	}
	return s
}

func hidden(r rune) bool { return !unicode.IsPrint(r) }

func quoted(s string) bool {
	if !strings.HasPrefix(s, `"`) {
		return false
	}
	_, err := strconv.Unquote(s)
	return err == nil
}
