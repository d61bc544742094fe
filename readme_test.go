package hydra_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// What the README tells to run is run as it stands there, but for what runs
// these tests, and for what is written for directories that a user has.
func TestTheReadmesCommandsWork(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the programs")
	}
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			command, _, _ := strings.Cut(line, "#")
			command = strings.TrimSpace(command)
			if command == "" || command == "make test" {
				continue
			}
			ran++
			out, err := exec.Command("sh", "-c", command).CombinedOutput()
			if os.Geteuid() != 0 && strings.HasSuffix(string(out), "exit status 3\n") {
				continue // not all of /usr may be read, and it says so
			}
			if err != nil {
				t.Errorf("%s: %v\n%s", command, err, out)
			}
		}
	}
	if ran < 2 {
		t.Errorf("%d commands were found", ran)
	}
}

func TestTheReadmesLinksLeadSomewhere(t *testing.T) {
	for _, file := range []string{"README.md", "ARCHITECTURE.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			if _, err := os.Stat(link[1]); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}
