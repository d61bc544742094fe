package cli

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestWhatIsPrintedHasNoControlCharacters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOf(rapid.Byte()).Draw(t, "text"))
		got := printable(text)
		if !utf8.ValidString(got) || strings.IndexFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
			t.Errorf("%q is printed as %q", text, got)
		}
	})
	for text, want := range map[string]string{"/a b/ü": "/a b/ü", "": `""`, "a\n": `"a\n"`, "\xff": `"\xff"`, "\u202e": `"\u202e"`} {
		if got := printable(text); got != want {
			t.Errorf("%q is printed as %s, want %s", text, got, want)
		}
	}
}

func TestASuggestedWordSurvivesTheShell(t *testing.T) {
	for text, want := range map[string]string{"/usr/a-b": "/usr/a-b", "a b": "'a b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'", "": "''"} {
		if got := shellWord(text); got != want {
			t.Errorf("%q becomes %s, want %s", text, got, want)
		}
	}
}

func TestDurationsAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1500 * time.Microsecond: "1 ms", 1234 * time.Millisecond: "1.2 s", 61 * time.Second: "1:01", 3601 * time.Second: "1:00:01",
	} {
		if got := seconds(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestNounsHaveAPlural(t *testing.T) {
	for _, tt := range []struct {
		n          int64
		noun, want string
	}{{1, "error", "1 error"}, {0, "error", "0 errors"}, {1000, "directory", "1,000 directories"}} {
		if got := count(tt.n, tt.noun); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestHelpFitsItsWidth(t *testing.T) {
	for _, line := range wrap(strings.Repeat("word another ", 20), 30) {
		if len(line) > 30 || len(line) < 20 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
}
