package report

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
)

// Size is a number of bytes for people, in units of 1024.
func Size(n int64) string {
	return strings.Replace(humanize.IBytes(uint64(max(n, 0))), ".0 ", " ", 1)
}

// Percent is a part of a whole in percent, rounded to whole numbers, but never
// something to nothing.
func Percent(part, whole int64) string {
	p := 100 * float64(part) / float64(max(whole, 1))
	if part > 0 && p < 0.5 {
		return "<1"
	}
	return fmt.Sprintf("%.0f", p)
}

// Bar is a bar of text that is as long as part is of whole, in eighths of a
// column; all of it takes width columns.
func Bar(part, whole int64, width int) string {
	eighths := int(float64(part) / float64(max(whole, 1)) * float64(width) * 8)
	if part > 0 && eighths == 0 {
		eighths = 1
	}
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text
}

// Printable is a path, or other text of any bytes, as it can be shown: quoted
// where it holds what does not print as itself.
func Printable(text string) string { return printable(text) }
