package check

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// class says what a byte of a name can be.
type class uint16

const (
	classControl class = 1 << iota
	classHigh          // not ASCII
	classWindows
	classMac
	classS3
	classPosix // not in the portable character set
)

// classes are those of all bytes: most names have none that is looked for.
var classes = func() (t [256]class) {
	for b := range t {
		c := byte(b)
		switch {
		case c < ' ' || c == 0x7f:
			t[b] |= classControl
		case c >= utf8.RuneSelf:
			t[b] |= classHigh
		}
		if strings.IndexByte(`<>:"\|?*`, c) >= 0 {
			t[b] |= classWindows
		}
		if c == ':' {
			t[b] |= classMac
		}
		if strings.IndexByte("\\{}^%`[]\"<>~#|", c) >= 0 {
			t[b] |= classS3
		}
		if !('A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("._-", c) >= 0) {
			t[b] |= classPosix
		}
	}
	return t
}()

// interest are the classes that matter for a set of kinds.
func interest(s set) (c class) {
	for k, of := range map[kind]class{
		control: classControl | classHigh, bidi: classHigh, invisible: classHigh, encoding: classHigh,
		windowsChars: classWindows, macChars: classMac, s3Chars: classS3, posixChars: classPosix,
	} {
		if s.has(k) {
			c |= of
		}
	}
	return c
}

// ends tells whether a byte at an end of a name matters: it is a blank, a dot, a dash,
// or part of a character that may be blank.
func ends(first, last byte) bool {
	return first == '-' || first == ' ' || last == ' ' || last == '.' || first >= utf8.RuneSelf || last >= utf8.RuneSelf || first < ' ' || last < ' '
}

// units is the length of text in UTF-16; a byte that is not UTF-8 counts as one.
func units(b []byte) (n int) {
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			n, b = n+1, b[1:]
			continue
		}
		r, size := utf8.DecodeRune(b)
		n, b = n+1, b[size:]
		if r > 0xffff {
			n++
		}
	}
	return n
}

// listedMost is how many characters a detail names.
const listedMost = 8

// list collects what is named in a detail: each once, with where the first one is.
type list struct {
	seen []string
	n    int
}

func (l *list) add(what string, at int) {
	l.n++
	for _, s := range l.seen {
		if strings.HasPrefix(s, what+" ") {
			return
		}
	}
	if len(l.seen) < listedMost {
		l.seen = append(l.seen, what+" at "+strconv.Itoa(at))
	}
}

func (l *list) String() string { return strings.Join(l.seen, ", ") }

// badBytes names the bytes of a name that are not UTF-8.
func badBytes(name []byte) (l list) {
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRune(name[i:])
		if r == utf8.RuneError && size == 1 {
			l.add(fmt.Sprintf(`\x%02x`, name[i]), i)
		}
		i += size
	}
	return l
}

// asciiOf names the ASCII characters of a name that are of a class.
func asciiOf(name []byte, c class) (l list) {
	for i, b := range name {
		if classes[b]&c != 0 && b < utf8.RuneSelf {
			l.add(strconv.QuoteRune(rune(b)), i)
		}
	}
	return l
}

// runesOf names the characters of a name that is says something of, which is given the
// place of each.
func runesOf(name []byte, is func(r rune, at, size int) bool) (l list) {
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRune(name[i:])
		if !(r == utf8.RuneError && size == 1) && is(r, i, size) {
			l.add(fmt.Sprintf("U+%04X", r), i)
		}
		i += size
	}
	return l
}

func isControl(r rune, _, _ int) bool {
	return unicode.IsControl(r) || r == 0x2028 || r == 0x2029
}

// isBidi: Bidi_Control of Unicode.
func isBidi(r rune, _, _ int) bool {
	return r == 0x061c || r == 0x200e || r == 0x200f || 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069
}

// invisibles are characters that take no room, and fillers; not those that say how the
// one before them looks.
var invisibles = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x00ad, 0x00ad, 1}, {0x034f, 0x034f, 1}, {0x115f, 0x1160, 1}, {0x17b4, 0x17b5, 1}, {0x180e, 0x180e, 1},
		{0x200b, 0x200d, 1}, {0x2060, 0x2065, 1}, {0x206a, 0x206f, 1}, {0x3164, 0x3164, 1}, {0xfeff, 0xfeff, 1},
		{0xffa0, 0xffa0, 1}, {0xfff9, 0xfffb, 1},
	},
	R32:         []unicode.Range32{{0xe0001, 0xe0001, 1}, {0xe0020, 0xe007f, 1}},
	LatinOffset: 1,
}

// hides tells whether the character at a place of a name is not seen. Joiners belong to
// the writing of many languages and to emoji: they are none between two characters that
// are not ASCII. So do tags behind a black flag.
func hides(name []byte) func(r rune, at, size int) bool {
	return func(r rune, at, size int) bool {
		switch {
		case !unicode.Is(invisibles, r):
			return false
		case r == 0x200c || r == 0x200d:
			before, _ := utf8.DecodeLastRune(name[:at])
			after, _ := utf8.DecodeRune(name[at+size:])
			return !joins(before) || !joins(after)
		case r >= 0xe0020:
			for at > 0 {
				before, n := utf8.DecodeLastRune(name[:at])
				if before == 0x1f3f4 {
					return false
				}
				if before < 0xe0020 || before > 0xe007f {
					return true
				}
				at -= n
			}
		}
		return true
	}
}

// joins tells whether a joiner can stand beside a character.
func joins(r rune) bool {
	return r >= utf8.RuneSelf && r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsSymbol(r))
}

func beginsBlank(name []byte) bool {
	r, _ := utf8.DecodeRune(name)
	return unicode.IsSpace(r) && !unicode.IsControl(r)
}

func endsBlank(name []byte) bool {
	r, _ := utf8.DecodeLastRune(name)
	return unicode.IsSpace(r) && !unicode.IsControl(r)
}

// reservedBase is the part of a name that Windows takes for a device; nil if it does not.
// What follows a dot does not matter, and blanks before it neither.
func reservedBase(name []byte) []byte {
	base, _, _ := bytes.Cut(name, []byte{'.'})
	base = bytes.TrimRight(base, " ")
	if len(base) < 3 || len(base) > 7 {
		return nil
	}
	var buf [8]byte
	upper := buf[:0]
	for _, b := range base {
		if 'a' <= b && b <= 'z' {
			b -= 'a' - 'A'
		}
		upper = append(upper, b)
	}
	switch string(upper) {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return base
	}
	if string(upper[:3]) != "COM" && string(upper[:3]) != "LPT" {
		return nil
	}
	switch n := string(upper[3:]); n {
	case "\u00b9", "\u00b2", "\u00b3":
		return base
	default:
		if len(n) == 1 && '1' <= n[0] && n[0] <= '9' {
			return base
		}
	}
	return nil
}
