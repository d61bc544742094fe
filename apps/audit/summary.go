package audit

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
)

// summarize writes the statistics for people, at most 80 columns wide.
func summarize(w io.Writer, r *hydra.Result[Stats]) error {
	var b bytes.Buffer
	s, t, avg := r.Stats, &r.Walked, r.Stats.Averages()

	fmt.Fprintf(&b, "%-16s%15s   deepest %s, average depth %.1f\n", "Directories",
		humanize.Comma(t.ProcessedDirs), humanize.Comma(int64(s.MaxDepth)), avg.Depth)
	fmt.Fprintf(&b, "%-31s   most subdirectories in one %s\n", "", humanize.Comma(int64(s.MaxWidth)))
	fmt.Fprintf(&b, "%-16s%15s   most in one directory %s\n", "Files",
		humanize.Comma(t.ProcessedFiles), humanize.Comma(int64(s.MaxFiles)))
	fmt.Fprintf(&b, "%-16s%15s\n", "Symbolic links", humanize.Comma(int64(s.Symlinks)))
	number := func(name string, n int64, note string) {
		if n > 0 {
			fmt.Fprintf(&b, "%-16s%15s   %s\n", name, humanize.Comma(n), note)
		}
	}
	number("Special files", t.SkippedFiles-int64(s.Symlinks), "devices, pipes, sockets")
	number("Left out", t.FilteredDirs+t.FilteredFiles, fmt.Sprintf("%s of them directories", humanize.Comma(t.FilteredDirs)))
	number("Vanished", t.VanishedDirs+t.VanishedFiles, "removed while the audit ran")
	number("Not read", t.FailedDirs+t.FailedFiles, fmt.Sprintf("%s of them directories", humanize.Comma(t.FailedDirs)))

	b.WriteByte('\n')
	fmt.Fprintf(&b, "%-16s%15s   average file %s\n", "Size", size(int64(s.Size)), size(int64(s.Size)/max(s.Files(), 1)))
	if runtime.GOOS != "windows" { // there it is not known
		fmt.Fprintf(&b, "%-16s%15s   on disk, each name of a file counted\n", "Allocated", size(int64(s.Allocated)))
	}
	fmt.Fprintf(&b, "%-16s%15s   each file rounded up\n", "In "+size(int64(s.BlockSize))+" blocks", size(int64(s.SizeInBlocks)))

	if s.Files() > 0 {
		b.WriteByte('\n')
		chart(&b, &s.BySize)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// barWidth is the width of a bar that stands for all, in columns.
const barWidth = 15

// chart draws a histogram: how many of the files are of a size, and how many of
// the bytes are in them.
func chart(b *bytes.Buffer, h *stats.Histogram) {
	edges, bins := h.Edges(), h.Bins()
	first, last := len(bins), 0
	var all stats.Bin
	for i, bin := range bins {
		if bin.Count > 0 {
			first, last = min(first, i), i
		}
		all.Add(bin.Count, bin.Bytes)
	}
	line := func(columns ...any) {
		text := fmt.Sprintf("%-10s %13s %-*s  %10s %s", columns...)
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	line("File size", "Files", 6+barWidth, "", "Size", "")
	for i := first; i <= last; i++ {
		line(binName(edges, i), humanize.Comma(bins[i].Count), 6+barWidth, share(bins[i].Count, all.Count),
			size(bins[i].Bytes), share(bins[i].Bytes, all.Bytes))
	}
}

func binName(edges []int64, i int) string {
	switch {
	case i == len(edges):
		return "over " + strings.ReplaceAll(size(edges[i-1]), " ", "")
	case edges[i] == 0:
		return "empty"
	}
	return fmt.Sprintf("<= %7s", size(edges[i]))
}

// share is a part of a whole: percent and a bar.
func share(part, whole int64) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf("%4s%% %s", percent(part, whole), bar(part, whole))
}

// percent rounds to whole numbers, but never something to nothing.
func percent(part, whole int64) string {
	p := 100 * float64(part) / float64(whole)
	if part > 0 && p < 0.5 {
		return "<1"
	}
	return fmt.Sprintf("%.0f", p)
}

// bar is as long as part is of whole, in eighths of a column.
func bar(part, whole int64) string {
	eighths := int(float64(part) / float64(whole) * barWidth * 8)
	if part > 0 && eighths == 0 {
		eighths = 1
	}
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text
}

// size is a number of bytes for people, in units of 1024.
func size(n int64) string {
	return strings.Replace(humanize.IBytes(uint64(max(n, 0))), ".0 ", " ", 1)
}
