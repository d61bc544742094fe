package audit

import (
	"testing"
	"time"
)

func TestOnlyWhatLeavesTheNumbersAsTheyAreCanBeChanged(t *testing.T) {
	before := App().Settings
	if err := before.prepare(); err != nil {
		t.Fatal(err)
	}
	after := before
	after.ResolveSymlinks = true
	if err := change(before, after); err != nil {
		t.Error(err)
	}
	for name, f := range map[string]func(*Settings){
		"block size": func(s *Settings) { s.BlockSize++ },
		"tree depth": func(s *Settings) { s.TreeDepth++ },
		"top":        func(s *Settings) { s.Top++ },
		"as of":      func(s *Settings) { s.AsOf = AsOf{Time: time.Unix(1, 0)} },
		"categories": func(s *Settings) { s.Categories = Categories{} },
	} {
		after := before
		f(&after)
		if change(before, after) == nil {
			t.Errorf("the %s may be changed", name)
		}
	}
}

func TestAnAuditorGoesByWhatWasChanged(t *testing.T) {
	c := App().Settings
	a := newAuditor(newStats(c), &c, nil, time.Now)
	a.worker = &c
	c.ResolveSymlinks = true
	if err := a.SettingsChanged(Settings{}); err != nil || !a.resolve {
		t.Errorf("resolve is %v, %v", a.resolve, err)
	}
}
