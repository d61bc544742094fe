package cli

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hydrawalk/hydra"
)

// fragile is a result, of which a kind of report can not be written.
type fragile struct{ hydra.Document }

func (fragile) WriteReport(w io.Writer, name string) error {
	if strings.HasSuffix(name, ".bad") {
		panic("broken")
	}
	_, err := io.WriteString(w, "whole")
	return err
}

func TestAReportThatPanicsCostsNoOther(t *testing.T) {
	dir := t.TempDir()
	c := &call{program: &program{screen: newScreen(os.Stderr)}, common: newCommon()}
	c.quiet = true
	for _, name := range []string{"a.bad", "b.good"} {
		report := &target{name: name}
		if err := report.probe(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		c.reports = append(c.reports, report)
	}
	err := c.writeReports(fragile{})
	if err == nil || !strings.Contains(err.Error(), "the report a.bad could not be written: internal error: broken") {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "b.good")); err != nil || string(text) != "whole" {
		t.Errorf("the other report is %q, %v", text, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
