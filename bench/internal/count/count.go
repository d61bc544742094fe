// Package count is what every program of the benchmark says that it saw.
package count

import "fmt"

// Counts is what a walk counted. Dirs has the root in it; Bytes is 0 for a walk
// that does not ask for sizes.
type Counts struct {
	Dirs, Files, Others, Bytes int64
}

func (c Counts) String() string {
	return fmt.Sprintf("dirs=%d files=%d others=%d bytes=%d", c.Dirs, c.Files, c.Others, c.Bytes)
}

// Parse reads what String wrote.
func Parse(s string) (c Counts, err error) {
	if _, err = fmt.Sscanf(s, "dirs=%d files=%d others=%d bytes=%d", &c.Dirs, &c.Files, &c.Others, &c.Bytes); err != nil {
		return Counts{}, fmt.Errorf("parse counts %q: %w", s, err)
	}
	return c, nil
}

// Add counts what another walk counted too.
func (c *Counts) Add(o Counts) {
	c.Dirs += o.Dirs
	c.Files += o.Files
	c.Others += o.Others
	c.Bytes += o.Bytes
}
