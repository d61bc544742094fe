package owner

import (
	"strings"
	"testing"
)

func TestWellKnownSIDsAreFound(t *testing.T) {
	const system, everyone, nobodys = "S-1-5-18", "S-1-1-0", "S-1-5-21-1-2-3-4"
	names, err := SIDs(t.Context(), []string{system, everyone, nobodys, "", "S-1", "a\x00b"})
	if err != nil {
		t.Error(err)
	}
	// How they are called depends on the language.
	if len(names) != 2 || !strings.Contains(names[system], `\`) || names[everyone] == "" || strings.HasPrefix(names[everyone], `\`) {
		t.Errorf("found %q, want the names of %s and %s", names, system, everyone)
	}
}

func TestNumericIDsHaveNoNames(t *testing.T) {
	users, err := Users(t.Context(), []uint32{0})
	if err != nil || users == nil || len(users) > 0 {
		t.Errorf("found the users %#v, %v, want an empty map", users, err)
	}
	groups, err := Groups(t.Context(), []uint32{0})
	if err != nil || groups == nil || len(groups) > 0 {
		t.Errorf("found the groups %#v, %v, want an empty map", groups, err)
	}
}
