//go:build unix && !linux

package rawdir

import "os"

// Move implements [Changer].
func (d *rootDir) Move(name Name, to Changer, toName Name) error {
	t, ok := to.(*rootDir)
	if !ok {
		return errNoMove
	}
	from, isFile := d.dir.(*os.File)
	into, isFile2 := t.dir.(*os.File)
	if !isFile || !isFile2 {
		return errNoMove
	}
	return moveByLink(int(from.Fd()), name, int(into.Fd()), toName)
}
