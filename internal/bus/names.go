package bus

import (
	"fmt"
	"strings"
)

// maxName bounds table names, keys, and subjects. Engines add to them.
const maxName = 200

// CheckTable returns an error, which is ErrName, unless s can name a table: one
// token of letters, digits, '_' and '-'.
func CheckTable(s string) error {
	if !token(s) || len(s) > maxName {
		return fmt.Errorf("table %q: %w", s, ErrName)
	}
	return nil
}

// CheckKey does for keys what CheckTable does: tokens joined by dots.
func CheckKey(s string) error {
	if !tokens(s, false) {
		return fmt.Errorf("key %q: %w", s, ErrName)
	}
	return nil
}

// CheckPrefix does it for prefixes: "", or tokens that are each followed by a dot.
func CheckPrefix(s string) error {
	if s == "" {
		return nil
	}
	if front, ok := strings.CutSuffix(s, "."); !ok || !tokens(front, false) {
		return fmt.Errorf("prefix %q: %w", s, ErrName)
	}
	return nil
}

// CheckSubject does it for subjects of messages: tokens joined by dots.
func CheckSubject(s string) error {
	if !tokens(s, false) {
		return fmt.Errorf("subject %q: %w", s, ErrName)
	}
	return nil
}

// CheckPattern does it for patterns: a subject in which a token may be '*', for
// any one, and the last may be '>', for one or more.
func CheckPattern(s string) error {
	if !tokens(s, true) {
		return fmt.Errorf("pattern %q: %w", s, ErrName)
	}
	return nil
}

// Match tells whether a valid pattern matches a valid subject.
func Match(pattern, subject string) bool {
	for {
		p, pRest, pMore := strings.Cut(pattern, ".")
		s, sRest, sMore := strings.Cut(subject, ".")
		switch {
		case p == ">":
			return true
		case p != "*" && p != s, pMore != sMore:
			return false
		case !pMore:
			return true
		}
		pattern, subject = pRest, sRest
	}
}

func tokens(s string, wild bool) bool {
	if len(s) > maxName {
		return false
	}
	for {
		t, rest, more := strings.Cut(s, ".")
		switch {
		case token(t):
		case wild && t == "*":
		case wild && t == ">" && !more:
		default:
			return false
		}
		if !more {
			return true
		}
		s = rest
	}
}

func token(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != ""
}
