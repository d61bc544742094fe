package cli

import (
	"io"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra"
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

// told is a result of which only the outcome matters.
type told struct {
	hydra.Document
	outcome hydra.Outcome
}

func (d *told) Common() *hydra.Outcome { return &d.outcome }

func (d *told) WriteText(w io.Writer) error {
	_, err := io.WriteString(w, "numbers\n")
	return err
}

func TestAResultOfManyMachinesSaysWhoMadeItAndHowItGoesOn(t *testing.T) {
	began := time.Now()
	d := &told{outcome: hydra.Outcome{
		App: "audit", State: hydra.Cancelled, Reason: "cancelled by a user", Paths: []string{"/data"}, Clients: 2, Workers: 9,
		Started: began, Finished: began.Add(2 * time.Second), Refused: []string{"c1 (host\a): /data: no such file or directory"},
	}}
	d.outcome.Walked.QueuedDirs = 1
	var b strings.Builder
	if err := writeText(&b, d, false, jobText{remote: true, again: "hydra job resume J"}); err != nil {
		t.Fatal(err)
	}
	const want = `audit  NOT COMPLETE in 2.0 s with 9 workers on 2 clients
  /data

numbers

1 client took no part:
  "c1 (host\a): /data: no such file or directory"

NOT COMPLETE: cancelled by a user, 1 directory still waiting
The numbers cover what was done until then.
It goes on with ` + "`hydra job resume J`.\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
