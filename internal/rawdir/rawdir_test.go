package rawdir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// readers are all ways to read a directory of the operating system.
var readers = map[string]Opener{
	"system":   System,
	"portable": Portable,
	"fs": func(path string, follow bool) (Dir, error) {
		return FromFS(os.DirFS("/"))(strings.TrimPrefix(path, "/"), follow)
	},
}

func forEachReader(t *testing.T, f func(t *testing.T, name string, open Opener)) {
	for name, open := range readers {
		if name == "fs" && runtime.GOOS == "windows" {
			continue
		}
		t.Run(name, func(t *testing.T) { f(t, name, open) })
	}
}

// list reads a directory with a small buffer, as "type name" sorted.
func list(t *testing.T, d Dir) []string {
	t.Helper()
	var all []string
	buf := make([]byte, 4096)
	for {
		n, err := d.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			slices.Sort(all)
			return all
		}
		var ent Dirent
		for rest := buf[:n]; ; {
			if rest, err = Next(rest, &ent); err != nil {
				t.Fatal(err)
			}
			if ent.Name == "" {
				break
			}
			all = append(all, fmt.Sprintf("%v %q", ent.Type.FileMode(), ent.Name.String()))
		}
	}
}

func TestEveryReaderSeesTheSameEntries(t *testing.T) {
	dir := t.TempDir()
	want := []string{}
	make := func(mode, name string, err error) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("%s %q", mode, name))
	}
	names := []string{"plain", "-rf", "two words", strings.Repeat("n", 255)}
	if runtime.GOOS == "linux" {
		names = append(names, "new\nline", "\xff\xfe", "..."+"\x01")
	}
	for i := range 300 {
		names = append(names, fmt.Sprintf("file-%03d", i))
	}
	for _, n := range names {
		make("----------", n, os.WriteFile(filepath.Join(dir, n), nil, 0o600))
	}
	make("d---------", "sub", os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	make("L---------", "link", os.Symlink("sub", filepath.Join(dir, "link")))
	slices.Sort(want)
	forEachReader(t, func(t *testing.T, name string, open Opener) {
		d, err := open(dir, false)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if got := list(t, d); !slices.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}

func TestDirectoriesAreOpenedRelativeToTheirParentAndLinksAreNotFollowed(t *testing.T) {
	top := t.TempDir()
	if err := os.MkdirAll(filepath.Join(top, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(top, "a", "f"), []byte("hello"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	forEachReader(t, func(t *testing.T, name string, open Opener) {
		d, err := open(top, false)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for _, n := range []string{"link", "a/f"} {
			if strings.Contains(n, "/") && name != "system" {
				continue
			}
			if sub, _, err := d.OpenDir(MakeName(n)); !IsNotDir(err) {
				t.Errorf("OpenDir(%q) = %v, %v; want an error that it is no directory", n, sub, err)
			}
		}
		if _, err := open(filepath.Join(top, "link"), false); !IsNotDir(err) {
			t.Errorf("a link was followed: %v", err)
		}
		linked, err := open(filepath.Join(top, "link"), true)
		if err != nil {
			t.Fatalf("a link was not followed: %v", err)
		}
		linked.Close()
		if _, _, err := d.OpenDir(MakeName("none")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("OpenDir(none): %v", err)
		}
		a, _, err := d.OpenDir(MakeName("a"))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		var st Stat
		if err := a.Lstat(MakeName("f"), AllFields, &st); err != nil {
			t.Fatal(err)
		}
		var some Stat
		if err := a.Lstat(MakeName("f"), AllFields&^FieldBtime, &some); err != nil {
			t.Fatal(err)
		}
		if known := st; true {
			known.Known, known.Btime, some.Known, some.Btime = 0, Time{}, 0, Time{}
			if some != known {
				t.Errorf("Lstat without the time of birth = %+v, with it %+v", some, known)
			}
		}
		fi, err := os.Lstat(filepath.Join(top, "a", "f"))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode != fi.Mode() || st.Size != 5 || !st.Mtime.Time().Equal(fi.ModTime()) {
			t.Errorf("Lstat = %+v, want %v %v", st, fi.Mode(), fi.ModTime())
		}
		f, err := a.Open(MakeName("f"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if text, err := io.ReadAll(f); string(text) != "hello" || err != nil {
			t.Errorf("read %q, %v", text, err)
		}
		if target, err := d.Readlink(MakeName("link")); target != "a" || err != nil {
			t.Errorf("Readlink = %q, %v", target, err)
		}
		var self Stat
		if err := a.Stat(AllFields, &self); err != nil || !self.Mode.IsDir() {
			t.Errorf("Stat = %+v, %v", self, err)
		}
	})
}

func TestRemoveDoesNotRemoveDirectories(t *testing.T) {
	forEachReader(t, func(t *testing.T, name string, open Opener) {
		top := t.TempDir()
		if err := os.Mkdir(filepath.Join(top, "d"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(top, "f"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := open(top, false)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if err := d.Remove(MakeName("d")); err == nil {
			t.Error("a directory was removed")
		}
		err = d.Remove(MakeName("f"))
		if name == "fs" {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("Remove on an fs.FS: %v", err)
			}
			return
		}
		if _, serr := os.Lstat(filepath.Join(top, "f")); err != nil || !errors.Is(serr, fs.ErrNotExist) {
			t.Errorf("Remove: %v, and then %v", err, serr)
		}
	})
}

func TestOpenFollowsNoLink(t *testing.T) {
	top := t.TempDir()
	if err := os.WriteFile(filepath.Join(top, "f"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("f", filepath.Join(top, "link")); err != nil {
		t.Skip("no symbolic links:", err)
	}
	forEachReader(t, func(t *testing.T, name string, open Opener) {
		d, err := open(top, false)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if f, err := d.Open(MakeName("link")); err == nil {
			f.Close()
			t.Error("a link was followed")
		}
		f, err := d.Open(MakeName("f"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if text, err := io.ReadAll(f); err != nil || string(text) != "hello" {
			t.Errorf("read %q, %v", text, err)
		}
	})
}

// odd lists a name that can not be one, among others.
type odd struct{ fs.ReadDirFile }

type oddEntry struct{ fs.DirEntry }

func (oddEntry) Name() string { return "a/b" }

func (o odd) ReadDir(n int) ([]fs.DirEntry, error) {
	all, err := o.ReadDirFile.ReadDir(n)
	if len(all) > 1 {
		all[1] = oddEntry{all[1]}
	}
	return all, err
}

func TestANameThatIsNoneLosesNoneBeforeIt(t *testing.T) {
	tree := fstest.MapFS{"a": {}, "b": {}, "c": {}}
	f, err := tree.Open(".")
	if err != nil {
		t.Fatal(err)
	}
	r := &entryReader{dir: odd{f.(fs.ReadDirFile)}}
	buf := make([]byte, 4096)
	n, err := r.Read(buf)
	var ent Dirent
	if _, nerr := Next(buf[:n], &ent); err != nil || nerr != nil || ent.Name.String() != "a" {
		t.Errorf("%d bytes, %v; %q, %v", n, err, ent.Name, nerr)
	}
	if _, err := r.Read(buf); !errors.Is(err, ErrCorrupt) {
		t.Errorf("the name that is none: %v", err)
	}
}

func TestRecordsSurviveBeingWrittenAndHalved(t *testing.T) {
	var buf []byte
	var want []string
	for i := range 100 {
		name := strings.Repeat("x", i%255+1)
		buf = AppendRecord(buf, uint64(i), Regular, MakeName(name))
		want = append(want, name)
	}
	half := Half(buf)
	if half <= 0 || half >= len(buf) {
		t.Fatalf("Half = %d of %d", half, len(buf))
	}
	var got []string
	for _, part := range [][]byte{buf[:half], buf[half:]} {
		var ent Dirent
		for {
			rest, err := Next(part, &ent)
			if err != nil {
				t.Fatal(err)
			}
			if ent.Name == "" {
				break
			}
			part, got = rest, append(got, ent.Name.String())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	one := AppendRecord(nil, 1, Regular, MakeName("a"))
	if Half(one) != len(one) {
		t.Error("a single record was halved")
	}
}

// FuzzNext feeds the parser what no kernel should return. It must neither
// panic, nor read beyond the buffer, nor run for ever.
func FuzzNext(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendRecord(AppendRecord(nil, 1, Directory, MakeName("..")), 2, Regular, MakeName("name")))
	f.Add(AppendRecord(nil, 7, Symlink, MakeName("\xff\n"))[:20])
	dirty := AppendRecord(nil, 3, Regular, MakeName("ab"))
	for i := 22; i < len(dirty); i++ {
		dirty[i] = 0xAA // padding need not be zero
	}
	f.Add(dirty)
	f.Fuzz(func(t *testing.T, buf []byte) {
		if h := Half(buf); h < 0 || h > len(buf) || h == 0 && len(buf) > 0 {
			t.Fatalf("Half = %d of %d", h, len(buf))
		}
		left := len(buf)
		var ent Dirent
		for {
			rest, err := Next(buf, &ent)
			if err != nil {
				if !errors.Is(err, ErrCorrupt) {
					t.Fatal(err)
				}
				return
			}
			if ent.Name == "" {
				return
			}
			name := ent.Name.String()
			if name == "" || name == "." || name == ".." || strings.Contains(name, "\x00") {
				t.Fatalf("name %q", name)
			}
			if len(rest) >= left {
				t.Fatal("no progress")
			}
			buf, left = rest, len(rest)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		if err := os.WriteFile(fmt.Sprintf("%s/file-%04d", dir, i), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for _, stat := range []bool{false, true} {
		b.Run(fmt.Sprintf("stat=%v", stat), func(b *testing.B) {
			d, err := System(dir, false)
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			buf := make([]byte, 64<<10)
			n, err := d.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			var st Stat
			b.ReportAllocs()
			for b.Loop() {
				var ent Dirent
				for rest := buf[:n]; ; {
					if rest, err = Next(rest, &ent); err != nil {
						b.Fatal(err)
					}
					if ent.Name == "" {
						break
					}
					if stat {
						if err := d.Lstat(ent.Name, AllFields, &st); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/entry")
		})
	}
}
