package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra"
	"github.com/spf13/cobra"
)

// describeReports completes the flag --report with the kinds that there are.
func describeReports(cmd *cobra.Command, kinds []hydra.ReportInfo) {
	flag := cmd.Flags().Lookup("report")
	kinds = append(kinds[:len(kinds):len(kinds)], hydra.ReportInfo{Ends: ".txt", What: "what is printed"})
	var ends, texts []string
	for _, k := range kinds {
		ends = append(ends, strings.TrimPrefix(k.Ends, "."))
		texts = append(texts, fmt.Sprintf("%s (%s)", k.Ends, k.What))
	}
	flag.Usage = "write a report to `FILE`, of the kind that its name ends with: " + strings.Join(texts, ", ") + "; may be repeated"
	if err := cmd.MarkFlagFilename("report", ends...); err != nil {
		panic(err) // it is defined
	}
}

// prepareReports finds out before the walk what reports can not be written.
func (c *call) prepareReports(check func(names []string) error) error {
	taken := map[string]bool{}
	take := func(path string) (twice bool) {
		if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
			path = filepath.Join(dir, filepath.Base(path))
		}
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
		twice = taken[path]
		taken[path] = true
		return twice
	}
	if c.target.set() {
		take(c.target.path)
	}
	for _, file := range slices.Concat([]string{c.errors, c.logFile}, c.pathFiles, c.prefixFiles) {
		if file != "" {
			take(file)
		}
	}
	var own []string // reports of the application itself
	for _, name := range c.reportFiles {
		if !isText(name) {
			own = append(own, name)
		}
	}
	if err := check(own); err != nil {
		return err
	}
	for _, name := range c.reportFiles {
		t := &target{name: name}
		if err := t.probe(name); err != nil {
			return fmt.Errorf("--report: %w", err)
		}
		if take(t.path) && !t.direct {
			return fmt.Errorf("--report: %s is used for something else too", name)
		}
		c.reports = append(c.reports, t)
	}
	return nil
}

// writeReports writes all reports, also if one of them can not be.
func (c *call) writeReports(doc hydra.Document) error {
	var all error
	for _, t := range c.reports {
		var size counter
		err := t.write(func(w io.Writer) (err error) {
			defer func() {
				if v := recover(); v != nil {
					err = fmt.Errorf("internal error: %v", v)
				}
			}()
			size = counter{w: w}
			if isText(t.name) {
				return writeText(&size, doc, false, c.jobText(doc))
			}
			return doc.WriteReport(&size, t.name)
		})
		switch {
		case err != nil:
			all = errors.Join(all, fmt.Errorf("the report %s could not be written: %w", t.name, err))
		case !c.quiet:
			fmt.Fprintf(c.screen, "%s: wrote %s (%s)\n", c.title, printable(t.name), humanize.IBytes(uint64(size.n)))
		}
	}
	return all
}

// isText tells whether a report is what is printed, which every application has.
func isText(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".txt") }

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// rescue saves a result that could not be written where it was wanted: it cost a
// walk. Its error says where it is.
func (c *call) rescue(doc hydra.Document) error {
	text, err := doc.MarshalJSON()
	if err != nil {
		return fmt.Errorf("the result is lost: %w", err)
	}
	for _, dir := range []string{os.TempDir(), "/var/tmp", "."} {
		if path, err := save(dir, "hydra-"+doc.Common().App+"-*.json", text); err == nil {
			return fmt.Errorf("the whole result was saved as %s", path)
		}
	}
	fmt.Fprintf(c.screen, "%s\n", text)
	return errors.New("the whole result is above: there is no place for a file")
}

// save writes a new file, whole or not at all.
func save(dir, pattern string, text []byte) (path string, err error) {
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(f.Name()) // there is nothing else to do about it
		return "", err
	}
	return f.Name(), nil
}
