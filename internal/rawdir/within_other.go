//go:build !linux

package rawdir

import "os"

func topOf(*os.Root) (*os.File, error) { return nil, nil }

func (w *Within) open(rel string, follow bool) (Dir, error) { return w.openIn(rel, follow) }

func (w *Within) parent(rel string) (Dir, error) { return w.openIn(rel, true) }

// DirType would be the type of the file system of an open directory.
func DirType(Dir) uint64 { return 0 }
