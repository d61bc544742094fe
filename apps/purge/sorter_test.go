package purge

import (
	"os"
	"runtime"
	"testing"
)

func TestAScratchFileIsNotRemovedByItsNameWhenItIsGone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file is not removed there")
	}
	f, err := scratch(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.Name(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	discard(f)
	if _, err := os.Stat(f.Name()); err != nil {
		t.Errorf("somebody else's file was removed: %v", err)
	}
}
