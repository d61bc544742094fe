package report

import (
	"strconv"
	"strings"
	"testing"
)

func TestPrintableKeepsWhatPeopleCanRead(t *testing.T) {
	for _, s := range []string{
		"", "/", "/data/a file.txt", "/data/日本語.txt", "/data/ä\u0301", "-rf", "=1+1", `back\slash`, `say "hi"`, `"`, `"open`, "/data/\ufffd", "🙂",
		strings.Repeat("n", 255),
	} {
		if got := printable(s); got != s {
			t.Errorf("printable(%q) = %s, want it unchanged", s, got)
		}
	}
}

func TestPrintableQuotesWhatIsHidden(t *testing.T) {
	for _, s := range []string{
		"/data/\xff\xfe", "/data/new\nline", "\x1b[31m", "\x00", "\t", "\r", "\x7f",
		"/data/\u202egnp.exe", "zero\u200bwidth", "no\u00a0break", "\ufeffmark", "\ufffe", "\U000e0041", "\xed\xa0\x80",
		`"looks\nquoted"`,
	} {
		got := printable(s)
		if got != strconv.Quote(s) {
			t.Errorf("printable(%q) = %s, want it quoted", s, got)
		}
	}
}

func FuzzPrintableLosesNothing(f *testing.F) {
	for _, s := range []string{"/data/\xff", "a\nb", `"a\nb"`, `"`, "\u202e", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		shown := printable(s)
		if strings.ContainsFunc(shown, hidden) {
			t.Errorf("printable(%q) = %q, hidden characters are left", s, shown)
		}
		back := shown
		if quoted(shown) {
			back, _ = strconv.Unquote(shown)
		}
		if back != s {
			t.Errorf("printable(%q) = %s, which reads as %q", s, shown, back)
		}
	})
}
