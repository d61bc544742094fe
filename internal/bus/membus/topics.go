package membus

import (
	"slices"
	"strings"
)

// topics finds the subscriptions of a subject: a tree of the tokens of their
// patterns. It is guarded by Engine.mu.
type topics struct {
	below map[string]*topics
	subs  []*subscription // of the pattern that ends here, the oldest first
}

func (t *topics) add(s *subscription) {
	for token := range strings.SplitSeq(s.pattern, ".") {
		next := t.below[token]
		if next == nil {
			next = new(topics)
			if t.below == nil {
				t.below = map[string]*topics{}
			}
			t.below[token] = next
		}
		t = next
	}
	t.subs = append(t.subs, s)
}

func (t *topics) remove(s *subscription) { t.prune(s.pattern, s) }

func (t *topics) prune(pattern string, s *subscription) {
	token, rest, more := strings.Cut(pattern, ".")
	next := t.below[token]
	if more {
		next.prune(rest, s)
	} else {
		next.subs = slices.DeleteFunc(next.subs, func(x *subscription) bool { return x == s })
	}
	if len(next.subs) == 0 && len(next.below) == 0 {
		delete(t.below, token)
	}
}

// each calls f for the subscriptions of a subject.
func (t *topics) each(subject string, f func(*subscription)) {
	token, rest, more := strings.Cut(subject, ".")
	if all := t.below[">"]; all != nil {
		for _, s := range all.subs {
			f(s)
		}
	}
	for _, key := range [...]string{token, "*"} {
		next := t.below[key]
		switch {
		case next == nil:
		case more:
			next.each(rest, f)
		default:
			for _, s := range next.subs {
				f(s)
			}
		}
	}
}
