package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
)

const minuteFormat = "2006-01-02 15:04"

// pageCell is a cell as a page shows it.
type pageCell struct {
	Class string  // what kind of cell it is; empty for text
	Text  string  // for people
	Raw   string  // the exact value for programs; empty for text
	Exact string  // the exact value for people, if Text is rounded
	Bar   float64 // the length of a bar in percent; 0: no bar
}

// newPageCell formats v, which is one of the values that a cell may be.
func newPageCell(v any) pageCell {
	switch v := v.(type) {
	case nil:
		return pageCell{}
	case string:
		return pageCell{Text: printable(v)}
	case Path:
		return pageCell{Class: "path", Text: printable(string(v))}
	case int64:
		return pageCell{Class: "num", Text: humanize.Comma(v), Raw: strconv.FormatInt(v, 10)}
	case ID:
		text := strconv.FormatUint(uint64(v), 10)
		return pageCell{Class: "num", Text: text, Raw: text}
	case Bytes:
		c := pageCell{Class: "num", Text: iec(float64(v)), Raw: strconv.FormatInt(int64(v), 10)}
		if v >= 1024 || v <= -1024 {
			c.Exact = humanize.Comma(int64(v)) + " bytes"
		}
		return c
	case Share:
		c := pageCell{Class: "num share", Text: percent(float64(v)), Raw: rawFloat(float64(v))}
		if v > 0 {
			// What there is can be seen.
			c.Bar = math.Round(100*max(1, 100*min(1, float64(v)))) / 100
		}
		return c
	case Seconds:
		return pageCell{Class: "num", Text: duration(float64(v)), Raw: rawFloat(float64(v)), Exact: rawFloat(float64(v)) + " s"}
	case float64:
		return pageCell{Class: "num", Text: strconv.FormatFloat(v, 'f', 2, 64), Raw: rawFloat(v)}
	case time.Time:
		if v.IsZero() {
			return pageCell{}
		}
		return pageCell{Class: "time", Text: v.UTC().Format(minuteFormat), Raw: v.UTC().Format(time.RFC3339)}
	}
	return pageCell{Text: printable(fmt.Sprint(v))}
}

func rawFloat(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

var iecUnits = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// iec writes a number of bytes with about three digits.
func iec(n float64) string {
	unit := 0
	// A number that would be rounded to 1024 is 1 of the next unit.
	for unit < len(iecUnits)-1 && math.Abs(n) >= 1023.5 {
		n, unit = n/1024, unit+1
	}
	digits := 1
	if unit == 0 || math.Abs(n) >= 99.95 {
		digits = 0
	}
	return strconv.FormatFloat(n, 'f', digits, 64) + " " + iecUnits[unit]
}

// percent writes a share. Something is never 0 %, and a part never 100 %.
func percent(v float64) string {
	switch text := strconv.FormatFloat(100*v, 'f', 1, 64); {
	case text == "0.0" && v > 0:
		return "<0.1 %"
	case text == "100.0" && v < 1:
		return ">99.9 %"
	default:
		return text + " %"
	}
}

// duration writes seconds in the units that suit them.
func duration(s float64) string {
	whole := int64(math.Round(s))
	switch {
	case s != s || math.IsInf(s, 0):
		return rawFloat(s) + " s"
	case s != 0 && math.Abs(s) < 1:
		return strconv.FormatFloat(1000*s, 'g', 3, 64) + " ms"
	case math.Abs(s) < 59.95:
		return strconv.FormatFloat(s, 'f', 1, 64) + " s"
	case max(whole, -whole) < 3600:
		return fmt.Sprintf("%d min %d s", whole/60, whole%60)
	}
	return fmt.Sprintf("%s h %d min", humanize.Comma(whole/3600), whole%3600/60)
}

// prose makes text safe to look at that may quote a name: what can not be seen
// is escaped, the rest is as it is.
func prose(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case unicode.IsPrint(r) || unicode.Is(unicode.Zs, r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteByte(' ')
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}
