package purge

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/owner"
	"github.com/hydrawalk/hydra/internal/report"
	"github.com/hydrawalk/hydra/stats"
)

// lookupTime bounds how long the names of owners are waited for.
const lookupTime = 30 * time.Second

// finish looks up the names of owners.
func finish(ctx context.Context, r *hydra.Result[Stats]) error {
	var ids []uint32
	for id := range r.Stats.ByUID.All {
		ids = append(ids, id)
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	names, err := owner.Users(ctx, ids)
	if err != nil {
		r.Log.Warn("the names of owners were not all found", "err", err)
	}
	r.Stats.UIDNames = Names{}
	for id, name := range names {
		r.Stats.UIDNames[id] = strings.ToValidUTF8(name, "\uFFFD")
	}
	return nil
}

// ownersShown is how many owners are shown.
const ownersShown = 10

// summarize writes the statistics for people, at most 80 columns wide.
func summarize(w io.Writer, r *hydra.Result[Stats]) error {
	var b bytes.Buffer
	var settings Settings
	if len(r.Settings) > 0 {
		if err := json.Unmarshal(r.Settings, &settings); err != nil {
			return err
		}
	}
	s := r.Stats
	line := func(name string, n, bytes int64, note string) {
		text := fmt.Sprintf("%-16s %14s  %9s  %s", name, humanize.Comma(n), report.Size(bytes), note)
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	some := func(name string, u stats.Use, note string) {
		if u.Count > 0 {
			line(name, u.Count, u.Bytes, note)
		}
	}
	line("Files", r.Walked.ProcessedFiles, int64(s.Scanned), "")
	moves := settings.Quarantine.String() != ""
	n, bytes, disk := int64(s.Deleted), int64(s.DeletedSize), int64(s.DeletedDisk)
	name := "Deleted"
	if moves {
		n, bytes, disk = int64(s.Quarantined), int64(s.QuarantinedSize), int64(s.QuarantinedDisk)
		name = "Moved away"
	}
	if !settings.Purge {
		name = "Would be deleted"
		if moves {
			name = "Would be moved"
		}
	}
	line(name, n, bytes, report.Size(disk)+" on disk, each name of a file counted")
	if settings.EmptyDirs {
		fmt.Fprintf(&b, "%-16s %14s\n", "  directories", humanize.Comma(int64(s.DeletedDirs)))
	}
	some("Failed", s.Failed, "")
	some("Changed", s.Changed, "since they were listed: they stay")
	some("Gone", s.Gone, "somebody else removed them")
	some("In doubt", s.InDoubt, "a client died when it was about to: gone")
	dirs := func(name string, n stats.Counter, note string) {
		if n > 0 {
			fmt.Fprintf(&b, "%-16s %14s             %s\n", name, humanize.Comma(int64(n)), note)
		}
	}
	dirs("Dirs failed", s.DirsFailed, "directories that could not be removed")
	dirs("Dirs changed", s.DirsChanged, "directories that are not empty any more, or others")
	dirs("Dirs in doubt", s.DirsInDoubt, "directories: a client died when it was about to")
	writeOwners(&b, s)
	if !settings.Purge {
		b.WriteString("\nNothing was changed: --purge does it.\n")
	} else if r.Acts != "" {
		fmt.Fprintf(&b, "\nWritten down in\n  %s\n", report.Printable(r.Acts))
		if moves {
			b.WriteString("from which `hydra undo` takes it back.\n")
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// writeOwners shows whose files they are; one owner alone is no news.
func writeOwners(b *bytes.Buffer, s *Stats) {
	type one struct {
		name string
		use  stats.Use
	}
	var all []one
	for id, g := range s.ByUID.All {
		name := cmp.Or(s.UIDNames[id], strconv.FormatUint(uint64(id), 10))
		all = append(all, one{report.Printable(name), g.Use})
	}
	if len(all) < 2 {
		return
	}
	slices.SortStableFunc(all, func(a, b one) int { return cmp.Compare(b.use.Bytes, a.use.Bytes) })
	b.WriteString("\nBy owner\n")
	for _, o := range all[:min(ownersShown, len(all))] {
		name := []rune(o.name)
		if len(name) > 16 {
			name = append(name[:15], '…')
		}
		fmt.Fprintf(b, "%-16s %14s  %9s\n", string(name), humanize.Comma(o.use.Count), report.Size(o.use.Bytes))
	}
	if more := len(all) - ownersShown; more > 0 {
		fmt.Fprintf(b, "and %s more: see --json\n", humanize.Comma(int64(more)))
	}
}
