package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/hydrawalk/hydra"
)

// readPrefixes reads the mounts of --prefix-file.
func (c *common) readPrefixes(stdin io.Reader) error {
	for _, file := range c.prefixFiles {
		text, err := readFile(file, stdin)
		if err != nil {
			return fmt.Errorf("--prefix-file: %w", err)
		}
		items, err := split(file, text, c.null)
		if err != nil {
			return fmt.Errorf("--prefix-file: %w", err)
		}
		c.prefixes = append(c.prefixes, items...)
	}
	if len(c.prefixFiles) > 0 && len(c.prefixes) == 0 {
		return fmt.Errorf("--prefix-file: no prefix in %s", strings.Join(c.prefixFiles, ", "))
	}
	return nil
}

// writePrefixes says through which mounts was walked.
func writePrefixes(b *bytes.Buffer, o *hydra.Outcome, s style) {
	for i := range o.Prefixes {
		p := &o.Prefixes[i]
		fmt.Fprintf(b, "  through %s: %s", printable(p.Path), count(p.Dirs, "directory"))
		switch {
		case p.Out:
			fmt.Fprintf(b, ", %s: %s", s.bad("left out"), printable(p.Why))
		case p.Why != "":
			fmt.Fprintf(b, ", %s: %s", s.bad("not used"), printable(p.Why))
		}
		b.WriteByte('\n')
	}
}
