package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// guarded is what is known of a process.
type guarded struct {
	Dumpable int // its memory may be written to a core file, and read by its user
	Umask    string
	Core     uint64
}

// guardProcess names what TestAProcessIsGuarded does, in a process of its own.
const guardProcess = "HYDRA_TEST_GUARD"

func lookAtSelf() (g guarded, err error) {
	if g.Dumpable, err = unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return g, err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return g, err
	}
	_, rest, _ := strings.Cut(string(status), "Umask:")
	g.Umask = strings.Fields(rest)[0]
	var limit unix.Rlimit
	err = unix.Getrlimit(unix.RLIMIT_CORE, &limit)
	g.Core = limit.Cur
	return g, err
}

// inProcess runs this test in a process of its own, and returns what it and a command that
// it executes say of themselves.
func inProcess(t *testing.T, what string) (own, command guarded) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAProcessIsGuarded$", "-test.count=1")
	cmd.Env = append(os.Environ(), guardProcess+"="+what)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	all := []*guarded{&own, &command}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "{") && len(all) > 0 {
			if err := json.Unmarshal([]byte(line), all[0]); err != nil {
				t.Fatal(err)
			}
			all = all[1:]
		}
	}
	return own, command
}

// TestAProcessIsGuarded checks servers and clients, and the commands that they execute.
func TestAProcessIsGuarded(t *testing.T) {
	if what := os.Getenv(guardProcess); what != "" {
		guard := map[string]func() error{"server": guardServer, "client": guardClient}[what]
		if guard != nil {
			if err := guard(); err != nil {
				t.Fatal(err)
			}
		}
		g, err := lookAtSelf()
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%s\n", text)
		if what != "command" {
			cmd := exec.Command(os.Args[0], "-test.run=^TestAProcessIsGuarded$")
			cmd.Env = append(os.Environ(), guardProcess+"=command")
			cmd.Stdout = os.Stdout
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	// As they are started: there is something to take away.
	defer unix.Umask(unix.Umask(0o022))
	plain, _ := inProcess(t, "none")
	if plain.Dumpable != 1 || plain.Umask != "0022" {
		t.Fatalf("without a guard: %+v", plain)
	}
	own, command := inProcess(t, "server")
	if want := (guarded{0, "0077", 0}); own != want {
		t.Errorf("a server has %+v, want %+v", own, want)
	}
	if want := (guarded{1, "0077", 0}); command != want {
		t.Errorf("a command of a server has %+v, want %+v", command, want)
	}
	own, command = inProcess(t, "client")
	if want := (guarded{0, plain.Umask, plain.Core}); own != want {
		t.Errorf("a client has %+v, want %+v", own, want)
	}
	if command != plain {
		t.Errorf("a command of a client has %+v, want %+v", command, plain)
	}
}
