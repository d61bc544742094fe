package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hydrawalk/hydra"
	"github.com/spf13/pflag"
)

// flagsOf are the flags of a command, with some given.
func flagsOf(t *testing.T, given ...string) (*common, *pflag.FlagSet) {
	t.Helper()
	c, set := newCommon(), pflag.NewFlagSet("audit", pflag.ContinueOnError)
	c.define(set)
	if err := set.Parse(given); err != nil {
		t.Fatal(err)
	}
	return c, set
}

func TestTheFirstPlaceThatSetsSomethingWins(t *testing.T) {
	dir := t.TempDir()
	user, system := filepath.Join(dir, "user.yaml"), filepath.Join(dir, "system.yaml")
	for file, text := range map[string]string{
		user:   "workers: 2\nexclude: [u1, u2]\naudit:\n  max-depth: 2\n",
		system: "workers: 3\nmax-depth: 3\nmax-errors: 3\nlog-level: debug\nverbose: 2\naudit:\n  workers: 33\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	_, known := flagsOf(t)
	configs, err := readConfigs([]string{user, filepath.Join(dir, "missing.yaml"), system}, map[string]*pflag.FlagSet{"audit": known}, false)
	if err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string {
		return map[string]string{"HYDRA_LOG_LEVEL": "info", "HYDRA_INCLUDE": "e1\ne2"}[name]
	}

	c, set := flagsOf(t, "-q", "--include", "f1")
	from, err := configure("audit", set, getenv, configs)
	if err != nil {
		t.Fatal(err)
	}
	if c.workers != 2 || c.maxDepth != 2 || c.maxErrors != 3 || c.logLevel != "info" || c.verbose != 2 || !c.quiet {
		t.Errorf("set to %+v", c)
	}
	want := origins{
		"workers": user + ":1", "exclude": user + ":2", "max-depth": user + ":4", "max-errors": system + ":3",
		"verbose": system + ":5", "log-level": "HYDRA_LOG_LEVEL", "quiet": "flag", "include": "flag",
	}
	if diff := cmp.Diff(want, from); diff != "" {
		t.Errorf("origins: -want +got\n%s", diff)
	}
	rules, err := c.rules.read(false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]hydra.Rule{{Glob: "u1"}, {Glob: "u2"}, {Glob: "f1", Include: true}}, rules); diff != "" {
		t.Errorf("what is configured comes before what is given: -want +got\n%s", diff)
	}
}

func TestTheUsersFileIsWhereXDGSays(t *testing.T) {
	for _, tt := range []struct{ xdg, home, want string }{
		{"/x", "/h", "/x/hydra/config.yaml"},
		{"", "/h", "/h/.config/hydra/config.yaml"},
		{"relative", "/h", "/h/.config/hydra/config.yaml"},
		{"", "", "/etc/hydra/config.yaml"},
	} {
		if filepath.Separator != '/' {
			t.Skip("other places")
		}
		files := configFiles(func(name string) string {
			return map[string]string{"XDG_CONFIG_HOME": tt.xdg, "HOME": tt.home}[name]
		})
		if files[0] != tt.want || files[len(files)-1] != "/etc/hydra/config.yaml" {
			t.Errorf("%+v: %q", tt, files)
		}
	}
}

func FuzzConfig(f *testing.F) {
	for _, text := range []string{"workers: 3", "a: [", "audit:\n  workers: {a: b}", "- x", "audit: 3", "exclude: [[a]]", "a: &a [*a]"} {
		f.Add(text)
	}
	c, known := newCommon(), pflag.NewFlagSet("", pflag.ContinueOnError)
	c.define(known)
	f.Fuzz(func(t *testing.T, text string) {
		config, err := parseConfig("file", []byte(text), map[string]*pflag.FlagSet{"audit": known}, false)
		if err == nil && config == nil {
			t.Error("neither a configuration nor an error")
		}
	})
}

func TestSectionsOfOtherProgramsAreLeftToThem(t *testing.T) {
	known := pflag.NewFlagSet("", pflag.ContinueOnError)
	for text, ok := range map[string]bool{
		"audit:\n  block-size: 4K\nworkers: 3": true,
		"audit: 3":                             false,
		"wrokers: 3":                           false,
	} {
		flags := map[string]*pflag.FlagSet{"mine": known}
		if _, err := parseConfig("file", []byte(text), flags, true); (err == nil) != ok {
			t.Errorf("%q in a program of one's own: %v", text, err)
		}
		if _, err := parseConfig("file", []byte(text), flags, false); err == nil {
			t.Errorf("%q is accepted by whom the file belongs to", text)
		}
	}
}
