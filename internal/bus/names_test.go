package bus

import "testing"

func TestNamesKeysAndPatterns(t *testing.T) {
	for _, c := range []struct {
		check func(string) error
		good  []string
		bad   []string
	}{
		{CheckTable, []string{"a", "A-_9"}, []string{"", "a.b", "a b", "ä", "*"}},
		{CheckKey, []string{"a", "s.x", "e.a.5"}, []string{"", ".", "a.", ".a", "a..b", "*", "a.>", "a:b"}},
		{CheckPrefix, []string{"", "a.", "a.b."}, []string{"a", ".", "a..", "*."}},
		{CheckSubject, []string{"a", "a.b"}, []string{"", "a.*", ">"}},
		{CheckPattern, []string{"a", "*", ">", "a.*.b", "*.>"}, []string{"", ">.a", "a*", "a.>b", "a..*"}},
	} {
		for _, s := range c.good {
			if err := c.check(s); err != nil {
				t.Error(err)
			}
		}
		for _, s := range c.bad {
			if c.check(s) == nil {
				t.Errorf("%q is taken", s)
			}
		}
	}
}
