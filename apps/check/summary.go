package check

import (
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra"
)

// whatOf says what a counter counts, for people.
func whatOf(by string) string {
	switch by {
	case pathEncoding:
		return "names of directories that are not UTF-8"
	case targetLength:
		return "paths too long at --target-prefix"
	}
	for k := range kinds {
		if kinds[k].by == by {
			return kinds[k].what
		}
	}
	return by
}

// summarize writes how many problems of each kind there are, at most 80 columns wide.
func summarize(w io.Writer, r *hydra.Result[Stats]) error {
	var b strings.Builder
	s := r.Stats
	fmt.Fprintf(&b, "%-13s%15s\n", "Names", humanize.Comma(int64(s.Names)))
	fmt.Fprintf(&b, "%-13s%15s\n", "Problems", humanize.Comma(s.found()))
	for _, by := range counters() {
		n := int64(*s.of(by))
		if n == 0 {
			continue
		}
		fmt.Fprintf(&b, "%28s   %s\n", humanize.Comma(n), whatOf(by))
	}
	if s.SymlinkUnknown > 0 {
		fmt.Fprintf(&b, "%28s   symbolic links that nobody looked behind\n", humanize.Comma(int64(s.SymlinkUnknown)))
	}
	if s.LeftOut > 0 {
		b.WriteString("There are too many files with several names to compare all of them.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
