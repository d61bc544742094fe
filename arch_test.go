package hydra_test

import (
	"bytes"
	"encoding/json"
	"go/doc"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/hydrawalk/hydra"

// platforms are those that the program is built for.
var platforms = []string{"linux/amd64", "freebsd/amd64", "darwin/arm64", "windows/amd64"}

// layer says what a package may import. Patterns are those of path.Match, below
// the module's path; "." is its root. Tests may import what they like.
type layer struct {
	pkg     string
	own     string // packages of this module
	foreign string // modules; the standard library is always allowed
}

const anything = "**"

// Imports only go down.
var layers = []layer{
	{"cmd/hydra", "cli apps/*", ""},
	{"examples/*", ". cli walk stats", "github.com/spf13/pflag"},

	{"cli", ". walk stats internal/report internal/selection", anything},
	{"apps/*", ". walk stats internal/report internal/owner internal/selection", anything},
	{"internal/selection", ". walk internal/owner", "github.com/spf13/pflag"},

	{".", "walk stats internal/runas internal/owner internal/server internal/client internal/joblog internal/natsd internal/gate internal/trust internal/ledger internal/wire internal/bus internal/bus/natsbus internal/bus/membus internal/post internal/pace",
		"github.com/bmatcuk/doublestar/v4 github.com/klauspost/compress github.com/spf13/pflag"},

	{"internal/server", "walk internal/bus internal/joblog internal/ledger internal/pace internal/wire", ""},
	{"internal/client", "walk internal/bus internal/joblog internal/ledger internal/pace internal/wire", ""},
	{"internal/post", "internal/bus internal/ledger internal/wire", ""},
	{"internal/wire", "walk internal/bus internal/joblog internal/ledger internal/pace", ""},
	{"internal/joblog", "", ""},
	{"internal/ledger", "walk", "github.com/fxamacker/cbor/v2"},

	{"walk", "internal/rawdir", ""},
	{"stats", "", ""},
	{"stats/statstest", "stats", ""},

	{"internal/bus", "", ""},
	{"internal/bus/*", "internal/bus", "github.com/nats-io/nats.go github.com/klauspost/compress"},
	{"internal/natsd", "", anything},
	{"internal/gate", "internal/natsd internal/trust", "golang.org/x/time"},

	{"internal/pace", "", ""},
	{"internal/trust", "", ""},
	{"internal/rawdir", "", "golang.org/x/sys"},
	{"internal/report", "", anything},
	{"internal/owner", "", "golang.org/x/sys"},
	{"internal/runas", "internal/owner", "golang.org/x/sys"},

	{"internal/faultfs", "", "github.com/hanwen/go-fuse/v2 golang.org/x/sys"}, // imported by tests only
	{"internal/chaos", "", ""},
	{"internal/enemy", "", ""},    // tests only
	{"internal/sim", "", ""},      // tests only
	{"internal/testaddr", "", ""}, // imported by tests only
	{"script/licenses", "", ""},
	{"script/scaleplot", "", ""},
}

// without NATS in all that they import: reading and counting stand alone, and so
// does what decides who may come in.
var withoutNATS = []string{"walk", "stats", "internal/rawdir", "internal/trust"}

// sole importers of what is heavy.
var soleImporters = map[string]string{
	"github.com/nats-io/nats-server": "internal/natsd",
	"github.com/xuri/excelize":       "internal/report",
}

func TestImportsOnlyGoDown(t *testing.T) {
	if testing.Short() {
		t.Skip("reads all files")
	}
	for _, platform := range platforms {
		for _, p := range packages(t, platform) {
			name, ours := p.own()
			if !ours || p.ForTest != "" || strings.HasSuffix(name, ".test") {
				continue
			}
			row := slices.IndexFunc(layers, func(l layer) bool { return matches(l.pkg, name) })
			if row < 0 {
				t.Errorf("%s is in no layer: put it into the table of this test", p.ImportPath)
				continue
			}
			l := layers[row]
			for _, imported := range p.Imports {
				below, ours := own(imported)
				mod := moduleOf(t, platform, imported)
				switch {
				case ours && !matches(l.own, below),
					!ours && mod != "" && !matches(l.foreign, mod):
					t.Errorf("%s: %s may not import %s", platform, p.ImportPath, imported)
				}
				for heavy, by := range soleImporters {
					if strings.HasPrefix(mod, heavy) && name != by {
						t.Errorf("%s: %s imports %s, which only %s may", platform, p.ImportPath, imported, by)
					}
				}
			}
			for _, dep := range p.Deps {
				if slices.Contains(withoutNATS, name) && strings.Contains(dep, "/nats") {
					t.Errorf("%s: %s depends on %s", platform, p.ImportPath, dep)
				}
			}
		}
	}
}

func TestTheTableHasNoPackageThatIsGone(t *testing.T) {
	for _, l := range layers {
		dirs, err := filepath.Glob(l.pkg)
		if err != nil {
			t.Fatal(err)
		}
		if len(dirs) == 0 {
			t.Errorf("%s is in the table, but not in the repository", l.pkg)
		}
	}
}

func TestEachPackageHasItsSentence(t *testing.T) {
	dirs := map[string]string{}
	for _, platform := range platforms {
		for _, p := range packages(t, platform) {
			if _, ours := p.own(); ours && p.ForTest == "" && !strings.HasSuffix(p.ImportPath, ".test") {
				dirs[p.ImportPath] = p.Dir
			}
		}
	}
	for pkg, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		var found []string // "file: sentence"
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			syntax, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if syntax.Doc == nil {
				continue
			}
			sentence := new(doc.Package).Synopsis(syntax.Doc.Text())
			found = append(found, filepath.Base(f)+": "+sentence)
			want := "Package " + syntax.Name.Name + " "
			if syntax.Name.Name == "main" {
				want = "Command " + path.Base(pkg) + " "
			}
			if !strings.HasPrefix(sentence, want) || !strings.HasSuffix(sentence, ".") {
				t.Errorf("%s: %s begins with %q, and not with a sentence %q", pkg, filepath.Base(f), sentence, want+"...")
			}
		}
		if len(found) != 1 {
			t.Errorf("%s has %d package comments, want 1: %q", pkg, len(found), found)
		}
	}
}

func TestNoFileNamesAPlaceOfOneMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("reads all files")
	}
	places := regexp.MustCompile(`(?m)(^|[^\w.~*-])/(work|root|Users)/\w`)
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "bin", "dist", ".tools"}, d.Name()):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if bytes.IndexByte(text, 0) >= 0 {
			return nil // a program, or an archive
		}
		for _, at := range places.FindAllIndex(text, -1) {
			line := 1 + bytes.Count(text[:at[1]], []byte("\n"))
			t.Errorf("%s:%d names a place of one machine: %q", p, line, text[at[0]:min(at[1]+20, len(text))])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// matches tells whether one of the patterns is that of name.
func matches(patterns, name string) bool {
	for _, p := range strings.Fields(patterns) {
		if ok, _ := path.Match(p, name); ok || p == anything {
			return true
		}
	}
	return false
}

// own is the path of a package of this module below the module's; "." is its
// root.
func own(pkg string) (string, bool) {
	if pkg == module {
		return ".", true
	}
	return strings.CutPrefix(pkg, module+"/")
}

// listed is a package as go list gives it.
type listed struct {
	ImportPath, Dir, ForTest string
	Standard                 bool
	Imports, Deps            []string
	Module                   *struct {
		Path, Dir string
		Main      bool
	}
}

func (p *listed) own() (string, bool) { return own(p.ImportPath) }

var (
	listsMu sync.Mutex
	lists   = map[string]map[string]*listed{} // by platform
)

// packages lists the packages of this module for a platform, with those of their
// tests, and all that they import.
func packages(t *testing.T, platform string) map[string]*listed {
	t.Helper()
	listsMu.Lock()
	defer listsMu.Unlock()
	if all := lists[platform]; all != nil {
		return all
	}
	goos, goarch, _ := strings.Cut(platform, "/")
	out := run(t, []string{"GOOS=" + goos, "GOARCH=" + goarch, "CGO_ENABLED=0"},
		"go", "list", "-deps", "-test", "-json=ImportPath,Dir,ForTest,Standard,Imports,Deps,Module", "./...")
	all := map[string]*listed{}
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		p := new(listed)
		if err := d.Decode(p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
	lists[platform] = all
	return all
}

// moduleOf is the module of an imported package, "" if that is the standard
// library.
func moduleOf(t *testing.T, platform, pkg string) string {
	t.Helper()
	p := packages(t, platform)[pkg]
	switch {
	case p == nil:
		t.Fatalf("%s: %s is imported, but not listed", platform, pkg)
	case p.Standard:
		return ""
	case p.Module == nil:
		t.Fatalf("%s: %s has no module", platform, pkg)
	}
	return p.Module.Path
}

// run returns what a command prints.
func run(t *testing.T, env []string, command string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command, args...)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.Bytes())
	}
	return string(out)
}
