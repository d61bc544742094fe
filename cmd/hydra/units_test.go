package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// units are what packaging/systemd holds.
var units = filepath.Join("..", "..", "packaging", "systemd")

// unit is a file for systemd: values by section and key.
type unit map[string]map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(units, name))
	if err != nil {
		t.Fatal(err)
	}
	u, section := unit{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section = line[1 : len(line)-1]
			u[section] = map[string][]string{}
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || section == "" || strings.TrimSpace(key) != key {
				t.Fatalf("%s: %q is no setting", name, line)
			}
			u[section][key] = append(u[section][key], value)
		}
	}
	return u
}

func TestTheUnitsStartWhatThereIs(t *testing.T) {
	program, err := exec.LookPath("hydra")
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(units)
	if err != nil || len(files) != 2 {
		t.Fatalf("there are %d units: %v", len(files), err)
	}
	for _, file := range files {
		u := readUnit(t, file.Name())
		start := strings.Fields(strings.Join(u["Service"]["ExecStart"], " "))
		if len(start) < 2 || start[0] != "/usr/bin/hydra" || "hydra-"+start[1]+".service" != file.Name() {
			t.Fatalf("%s starts %q", file.Name(), start)
		}
		cmd := exec.Command(program, start[1], "--help")
		cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir())
		help, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range start[2:] {
			flag, isFlag := strings.CutPrefix(word, "--")
			if flag, _, _ = strings.Cut(flag, "="); isFlag && !regexp.MustCompile(`(?m)^ .*--`+flag+`\b`).Match(help) {
				t.Errorf("%s: %s has no flag --%s", file.Name(), start[1], flag)
			}
		}
		// What stands under its user's own directories has to be in the one that systemd makes.
		state := "/var/lib/" + strings.Join(u["Service"]["StateDirectory"], " ")
		if home := u["Service"]["Environment"]; !slices.Equal(home, []string{"HOME=" + state}) {
			t.Errorf("%s: HOME is %q, and its directory %s", file.Name(), home, state)
		}
		for key, want := range map[string]string{
			"Type": "notify", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "UMask": "0077", "LimitCORE": "0",
			"Restart": "on-failure", "StateDirectoryMode": "0700", "MemoryDenyWriteExecute": "yes", "RestrictNamespaces": "yes",
		} {
			if got := u["Service"][key]; !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %s is %q, want %s", file.Name(), key, got, want)
			}
		}
		if user := u["Service"]["User"]; len(user) != 1 || user[0] == "root" {
			t.Errorf("%s: the user is %q", file.Name(), user)
		}
	}
	client := readUnit(t, "hydra-client.service")["Service"]
	for _, key := range []string{"AmbientCapabilities", "CapabilityBoundingSet"} {
		if got := client[key]; !slices.Equal(got, []string{"CAP_DAC_READ_SEARCH"}) {
			t.Errorf("%s of a client is %q", key, got)
		}
	}
	for _, key := range []string{"PrivateTmp", "PrivateUsers", "RootDirectory"} {
		if got := client[key]; got != nil {
			t.Errorf("%s is %q: a client sees other trees than it is asked to read", key, got)
		}
	}
}

// TestTheUnitsAreWhatSystemdTakes has systemd read them, where it is installed.
func TestTheUnitsAreWhatSystemdTakes(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd is not installed")
	}
	program, err := exec.LookPath("hydra")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"hydra-server.service", "hydra-client.service"} {
		text, err := os.ReadFile(filepath.Join(units, name))
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("/usr/bin/hydra "), []byte(program+" ")) // it is not installed here
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
