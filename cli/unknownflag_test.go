package cli

import (
	"testing"

	"github.com/spf13/pflag"
)

func TestTheFlagThatWasMeantIsNear(t *testing.T) {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, name := range []string{"name", "size", "older-than", "one-file-system", "max-depth", "secret"} {
		f.Bool(name, false, "")
	}
	if err := f.MarkHidden("secret"); err != nil {
		t.Fatal(err)
	}
	for typed, want := range map[string]string{
		"name": "name", "nome": "name", "names": "name", "NAME": "name", "noma": "", "nam": "name", "na": "", "": "", "sice": "size", "six": "",
		"older": "older-than", "olde-than": "older-than", "max_depth": "max-depth", "maxdpeth": "", "max-dpeth": "max-depth", "one": "one-file-system", "secret": "", "secre": "",
	} {
		if got := nearFlag(f, typed); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
}

func TestTheDistanceOfWordsIsThatOfTheirEdits(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"name", "name", 0}, {"iname", "name", 1}, {"nmae", "name", 2}, {"maxdepth", "max-depth", 1},
		{"kitten", "sitting", 3}, {"saturday", "sunday", 3}, {"flaw", "lawn", 2}, {"abc", "xyz", 3},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("from %q to %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := distance(tt.b, tt.a); got != tt.want {
			t.Errorf("from %q to %q: %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}
