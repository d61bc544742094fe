package audit

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra"
	"pgregory.net/rapid"
)

func TestTheBuiltInTableHasEachExtensionOnceAsItIsLookedUp(t *testing.T) {
	table := builtInCategories()
	want := []string{"application", "audio", "compressed", "data", "document", "image", "scripts", "source_code", "video"}
	if got := table.names(); !slices.Equal(got, want) {
		t.Errorf("categories %q, want %q", got, want)
	}
	words := 0
	for line := range strings.Lines(string(builtIn)) {
		if _, list, ok := strings.Cut(line, ":"); ok && line[0] != '#' {
			words += len(strings.Fields(list))
		}
	}
	if words != len(table) || words < 500 {
		t.Errorf("%d words are %d extensions", words, len(table))
	}
	for ext, category := range table {
		if found := string(extension([]byte("x."+strings.ToUpper(ext)), nil)); found != ext {
			t.Errorf("%q in %s would not be found: it is looked up as %q", ext, category, found)
		}
	}
}

func TestCategoriesOfAUserReplaceTheTable(t *testing.T) {
	got, err := parseCategories("own", []byte("\xef\xbb\xbf# begins as some editors begin a file: x\n # a comment: y\r\n\nimage:\tJPG .png\r\nödes: ÄÖ\nimage:tif\nnothing:\nlast: z"))
	if err != nil {
		t.Fatal(err)
	}
	want := Categories{"jpg": "image", "png": "image", "tif": "image", "äö": "ödes", "z": "last"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestAMistakeInATableOfCategoriesNamesFileAndLine(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"image: jpg\nno colon\n", "own:2: a line is a category"},
		{"# first\n\n: jpg", "own:3: a line is a category"},
		{"other: jpg", `own:1: "other" is what is in no category`},
		{"image: jpg\nvideo: mp4 .JPG", `own:2: ".JPG" is in "image" already`},
		{"image: jpg jpg", `own:1: "jpg" is in "image" already`},
		{"# nothing\n", "own: there is no category in it"}, {"", "own: there is no category in it"},
		{"archive: tar.gz", `own:1: "tar.gz" is no extension`},
		{"image: .", `own:1: "." is no extension`},
		{"image: ..jpg", `own:1: "..jpg" is no extension`},
		{"image: jpg\r\nimage: \xff\n", "own:2: it is not UTF-8"},
	} {
		table, err := parseCategories("own", []byte(tt.text))
		if table != nil || err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: %v, error %v, want %s", tt.text, table, err, tt.want)
		}
	}
}

func TestAMistakeInATableOfCategoriesIsFoundBeforeTheWalk(t *testing.T) {
	file := filepath.Join(t.TempDir(), "own")
	if err := os.WriteFile(file, []byte("image: jpg\nimage\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{file: file + ":2: ", file + ".not": file + ".not"} {
		app := App()
		app.Settings.CategoriesFile = name
		r, err := hydra.Run(t.Context(), app, []string{t.TempDir()}, nil)
		if r != nil || err == nil || !strings.Contains(err.Error(), "--categories: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q and nothing walked", name, err, want)
		}
	}
}

func TestTheExtensionIsBehindTheLastDot(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"", ""}, {"a", ""}, {".", ""}, {"..", ""}, {"...", ""}, {".profile", ""}, {"...a", ""}, {"a.", ""}, {"a..", ""}, {".a.", ""},
		{"a.b", "b"}, {"a.b.C", "c"}, {".a.b", "b"}, {"..a.B", "b"}, {"a..b", "b"}, {"a.b ", "b "}, {"ä.ÄÖ", "äö"}, {"a.ÄB", "äb"},
		{"a.\xff", "\xff"}, {"a.B\xffC", "b\xffc"}, {"a.ÄB\xff", "Äb\xff"}, {"a.\n", "\n"}, {"-.X", "x"}, {"\xff.x", "x"},
	} {
		buf := []byte("what was there before")
		if got := string(extension([]byte(tt.name), buf)); got != tt.want {
			t.Errorf("%q has the extension %q, want %q", tt.name, got, tt.want)
		}
	}
}

// The quick way to an extension and the slow one agree, and no two extensions are
// one to the quick one.
func TestAShortExtensionIsTheSameAsOneOfAnyLength(t *testing.T) {
	piece := rapid.SampledFrom([]string{".", ".", "a", "B", "z", "Z", "@", "[", "`", "{", "1", " ", "\n", "\x01", "\x7f", "ä", "Ä", "\xff", "bcd", "HTML"})
	rapid.Check(t, func(t *rapid.T) {
		begin := rapid.SampledFrom([]string{"", ".", "..", "a", "a."}).Draw(t, "begin")
		name := begin + strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), "")
		want := string(extension([]byte(name), nil))
		word, short := shortExtension([]byte(name))
		if !short {
			return
		}
		var got []byte
		for ; word != 0; word >>= 8 {
			got = append(got, byte(word))
		}
		if string(got) != want {
			t.Errorf("%q has the short extension %q, want %q", name, got, want)
		}
	})
	for _, name := range []string{"a.b", "a.JPG", "x.12345678", "-.c"} {
		if _, short := shortExtension([]byte(name)); !short {
			t.Errorf("the extension of %q is not found quickly", name)
		}
	}
}
