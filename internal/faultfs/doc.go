// Package faultfs is a file system in memory that fails, delays and changes on
// command, mounted through FUSE for tests.
//
// A test describes a tree, mounts it and says what goes wrong:
//
//	m := faultfs.Mount(t, faultfs.Tree{
//		"a/file":  faultfs.File(10),
//		"a/link":  faultfs.Symlink("file"),
//		"b":       faultfs.Dir(),
//		"b/again": faultfs.Loop("b"),
//		"huge":    faultfs.Many(1_000_000, faultfs.File(1)),
//		"swapped": faultfs.Symlink("a").ListedAs(fs.ModeDir),
//	})
//	m.On(faultfs.OpenDir, "a", faultfs.Rule{Err: syscall.EIO})
//	walk(m.Root)
//
// The kernel keeps neither names nor attributes of it, so a rule acts at once.
// The mount ends with the test, however that ends. There is no such file system
// but on Linux.
package faultfs
