//go:build linux

package audit_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fixture is a tree with all that an audit tells apart. What is in it is not
// kept: the truth is read from the file system.
type fixture struct {
	t    testing.TB
	root string
	asOf time.Time // that times in the tree are set relative to
}

// The edges of bins, as the documents have them.
var (
	fixtureSizes = []int64{0, 1024, 4096, 8192, 16384, 32768, 65536, 131072, 1048576, 10485760, 104857600,
		1073741824, 10737418240, 107374182400, 1099511627776}
	fixtureAges = []int64{0, 60, 3600, 86400, 172800, 604800, 2592000, 5184000, 7776000, 15552000,
		31536000, 63072000, 94608000, 126144000, 157680000, 315360000}
)

// newFixture makes the tree. It says which parts need what is not there: a
// superuser for owners and devices, a file system that has such files.
func newFixture(t testing.TB, seed uint64) *fixture {
	t.Helper()
	// All that is made now changed three days, and something, before asOf.
	f := &fixture{t: t, asOf: time.Now().Add(3*24*time.Hour + 7*time.Hour).Truncate(time.Second).Add(250 * time.Millisecond).UTC()}
	f.root = filepath.Join(t.TempDir(), "tree")
	f.dir("")
	f.sizes()
	f.ages()
	f.extensions()
	f.names()
	f.links()
	f.allocation()
	f.kinds()
	f.permissions()
	f.directories()
	f.random(rand.New(rand.NewPCG(seed, 1)))
	f.owners()
	return f
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) path(rel string) string { return filepath.Join(f.root, rel) }

func (f *fixture) dir(rel string) {
	f.t.Helper()
	f.must(os.MkdirAll(f.path(rel), 0o755))
}

// sparse makes a file that is a hole, and tells whether it could.
func (f *fixture) sparse(rel string, size int64) bool {
	f.t.Helper()
	f.must(os.WriteFile(f.path(rel), nil, 0o644))
	err := os.Truncate(f.path(rel), size)
	if errors.Is(err, unix.EFBIG) || errors.Is(err, unix.EINVAL) {
		f.t.Logf("not here: files of %d bytes", size)
		f.must(os.Remove(f.path(rel)))
		return false
	}
	f.must(err)
	return true
}

// data makes a file of so many bytes with a hole before them. They are on disk
// when it returns: until then the file system may not know where they will be.
func (f *fixture) data(rel string, hole int64, bytes int) {
	f.t.Helper()
	file, err := os.Create(f.path(rel))
	f.must(err)
	defer file.Close()
	_, err = file.WriteAt([]byte(strings.Repeat("x", bytes)), hole)
	f.must(err)
	f.must(file.Sync())
	f.must(os.Chmod(f.path(rel), 0o644))
}

func (f *fixture) times(rel string, atime, mtime time.Time) {
	f.t.Helper()
	var ts [2]unix.Timespec
	for i, at := range []time.Time{atime, mtime} {
		var err error
		ts[i], err = unix.TimeToTimespec(at)
		f.must(err)
	}
	f.must(unix.UtimesNanoAt(unix.AT_FDCWD, f.path(rel), ts[:], unix.AT_SYMLINK_NOFOLLOW))
}

// sizes are those at the edges of bins, and beside them.
func (f *fixture) sizes() {
	f.dir("sizes/far")
	for i, edge := range append(fixtureSizes, 10*fixtureSizes[14]) {
		for _, beside := range []int64{-1, 0, 1} {
			if edge+beside >= 0 {
				f.sparse(fmt.Sprintf("sizes/%02d%+d", i, beside), edge+beside)
			}
		}
	}
	// At the edges of blocks of 1000 bytes.
	for _, size := range []int64{999, 1000, 1001, 20_000, 7_777_000} {
		f.sparse(fmt.Sprint("sizes/far/", size), size)
	}
}

// ages are those at the edges of bins, and beside them; the two times that can
// be set fall into different bins.
func (f *fixture) ages() {
	f.dir("ages")
	beside := []time.Duration{-time.Second, -time.Nanosecond, 0, time.Nanosecond, 500 * time.Millisecond, time.Second}
	for i := range fixtureAges {
		for j, d := range beside {
			rel := fmt.Sprintf("ages/%02d-%d", i, j)
			f.sparse(rel, fixtureSizes[(i+j)%9]+int64(j%2))
			at := func(edge int64) time.Time {
				return f.asOf.Add(-time.Duration(edge)*time.Second - d)
			}
			f.times(rel, at(fixtureAges[(i+5)%len(fixtureAges)]), at(fixtureAges[i]))
		}
	}
	for i, year := range []int{1601, 1902, 1969, 1970, 2106, 2261, 2262, 2446, 2600} {
		rel := fmt.Sprintf("ages/year %d", year)
		f.sparse(rel, int64(i))
		f.times(rel, time.Date(year, 1, 2, 3, 4, 5, 999_999_999, time.UTC), time.Date(year, 6, 1, 0, 0, 0, 1, time.UTC))
	}
	f.sparse("ages/first", 1)
	f.times("ages/first", time.Unix(-1<<31, 0), time.Unix(-1<<31, 0))
	f.sparse("ages/before 1970", 1)
	f.times("ages/before 1970", time.Unix(-1, 5e8), time.Unix(0, 0))
}

func (f *fixture) extensions() {
	f.dir("extensions")
	for i, name := range []string{
		"noext", "README", ".profile", "..twodots", "x.twodots", "...", "..a.b", ".hidden.TXT", "trailing.", "two.tar.gz", "two..dots", ".a.", "a..",
		"A.JPG", "b.jpg", "c.JpG", "d.jpg ", "e. jpg", "x.ÄÖ", "x.äö", "y.ÄÖ", "x.İ", "x.K", "x.\xff\xfe", "x.A\xffB", "x.\xc3", "x.other", "y.OTHER",
		"x.\"quoted\"", "x.\"other\"", "x.\"", "x.\\xff", "x.<b>", "x.=1", "x.new\nline", "x.\x1b[31m", "x." + strings.Repeat("long", 60), "x.9", "x.10", "x.(none)",
		"a.mp3", "a.zip", "a.pdf", "a.csv", "a.sh", "a.go", "a.mkv", "a.exe", "a.C", "a.R", "a.h", "a.tar.xz",
	} {
		f.sparse("extensions/"+name, int64(1)<<(i%40)+int64(i))
	}
	// More than are remembered, and some that begin alike.
	f.dir("extensions/more")
	for i := range 200 {
		f.sparse(fmt.Sprintf("extensions/more/a.e%d", i%150), int64(i))
		f.sparse(fmt.Sprintf("extensions/more/b%d.12345678%s", i, strings.Repeat("9", i%5)), int64(i))
	}
}

// names are hard to print, to quote, or to cut.
func (f *fixture) names() {
	f.dir("names")
	long := func(c string) string { return strings.Repeat(c, 255) }
	for i, name := range []string{
		"-", "--", "-rf", "=1+1", "+1", "@SUM(1)", "'quoted'", "\"quoted\"", "\"", "<script>", "<img src=x onerror=alert(1)>", "&amp;", "new\nline", "\r", "\t", " ", "\x7f",
		"\xff", "\xfe", "a\xffb", "\xed\xa0\x80", "\uFFFD", "\u202Egnp.exe", "\u200b", "日本語", "é", "e\u0301", "_x0041_", "comma,semi;", "`id`", "$HOME", "%s%n",
		"\\", "*", "?", "[a]", "C:", long("a"), long("\xff"), long("="), strings.Repeat("ü", 127),
	} {
		f.sparse("names/f"+name[:min(len(name), 254)], int64(1000+i))
		f.sparse("names/"+name, int64(1000*i))
		dir := "names/d" + name[:min(len(name), 254)]
		f.dir(dir)
		f.sparse(dir+"/"+name, int64(i))
	}
	f.dir("names/" + long("b") + "/" + long("c") + "/" + long("\xfe"))
	f.sparse("names/"+long("b")+"/"+long("c")+"/"+long("\xfe")+"/"+long("d"), 1<<40)
}

// links are files with several names, some of which are elsewhere.
func (f *fixture) links() {
	f.dir("links/below")
	f.dir("../elsewhere")
	link := func(from string, to ...string) {
		for _, name := range to {
			f.must(os.Link(f.path(from), f.path(name)))
		}
	}
	f.sparse("links/two", 1_000_001)
	link("links/two", "links/below/two.txt")
	f.data("links/three", 0, 5000)
	link("links/three", "links/below/three.JPG", "names/three")
	f.sparse("links/one of two", 77)
	link("links/one of two", "../elsewhere/the other")
	f.data("links/two of three", 0, 12_345)
	link("links/two of three", "links/below/two of three", "../elsewhere/the third")
	f.sparse("links/many 0", 10)
	for i := range 11 {
		link("links/many 0", fmt.Sprintf("links/many %d", i+1))
	}
}

// allocation makes files that occupy less than their size, as much, and more.
func (f *fixture) allocation() {
	f.dir("allocation")
	for _, bytes := range []int{1, 511, 512, 513, 4095, 4096, 4097, 8192, 100_000} {
		f.data(fmt.Sprint("allocation/full ", bytes), 0, bytes)
	}
	f.data("allocation/hole", 1<<20, 4096)
	f.data("allocation/large hole", 1<<33, 1)
	f.data("allocation/at both ends", 0, 10_000)
	f.must(os.Truncate(f.path("allocation/at both ends"), 1<<24))
	f.data("allocation/more", 0, 100)
	file, err := os.OpenFile(f.path("allocation/more"), os.O_WRONLY, 0)
	f.must(err)
	defer file.Close()
	if err := unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, 1<<20); err != nil {
		f.t.Logf("not here: files that occupy more than their size: %v", err)
	}
	f.must(file.Sync())
}

// kinds are all types of files but those that only a superuser makes.
func (f *fixture) kinds() {
	f.dir("kinds/target")
	f.sparse("kinds/target/file", 5)
	for name, to := range map[string]string{
		"file": "target/file", "dir": "target", "broken": "nowhere", "itself": "itself", "up": "..", "bytes": "\xff\xfe", "loop": "loop2", "loop2": "loop",
		"absolute": f.root, "link.JPG": "dir",
	} {
		f.must(os.Symlink(to, f.path("kinds/"+name)))
	}
	for i := range 3 {
		f.must(unix.Mkfifo(f.path(fmt.Sprint("kinds/fifo", i)), 0o644))
	}
	for i := range 2 {
		f.must(unix.Mknod(f.path(fmt.Sprint("kinds/socket", i)), unix.S_IFSOCK|0o644, 0))
	}
	if os.Geteuid() != 0 {
		f.t.Log("not here: devices, which only a superuser makes")
		return
	}
	for i := range 4 {
		if err := unix.Mknod(f.path(fmt.Sprint("kinds/char", i)), unix.S_IFCHR|0o644, int(unix.Mkdev(1, 3))); err != nil {
			f.t.Logf("not here: devices: %v", err)
			return
		}
	}
	f.must(unix.Mknod(f.path("kinds/block"), unix.S_IFBLK|0o644, int(unix.Mkdev(7, 200))))
}

func (f *fixture) permissions() {
	f.dir("permissions")
	for i, mode := range []uint32{
		0, 0o400, 0o600, 0o644, 0o666, 0o777, 0o002, 0o4755, 0o2755, 0o6755, 0o1644, 0o4777, 0o2666, 0o7777, 0o4000, 0o444, 0o0007,
	} {
		rel := fmt.Sprintf("permissions/%04o", mode)
		f.sparse(rel, int64(100*i))
		f.must(unix.Chmod(f.path(rel), mode))
	}
	for _, mode := range []uint32{0o777, 0o1777, 0o3777, 0o2775, 0o1775, 0o702, 0o700} {
		rel := fmt.Sprintf("permissions/d%04o", mode)
		f.dir(rel)
		f.must(unix.Chmod(f.path(rel), mode))
	}
}

func (f *fixture) directories() {
	f.dir("empty/a/b/c")
	f.dir("empty/d")
	f.dir("empty/e")
	f.dir("only dirs/a")
	f.dir("only dirs/b/c")
	// Neither of these is empty.
	f.dir("only others/link")
	f.must(os.Symlink("nowhere", f.path("only others/link/link")))
	f.dir("only others/fifo")
	f.must(unix.Mkfifo(f.path("only others/fifo/fifo"), 0o644))
	deep := "deep"
	for i := range 9 {
		deep += fmt.Sprint("/", i)
		f.dir(deep)
		f.sparse(deep+"/file", int64(1)<<(4*i))
	}
	for i := range 25 {
		f.dir(fmt.Sprint("deep/0/wide/", i))
	}
	// More than one read lists, so that workers share it.
	f.dir("many")
	for i := range 2500 {
		f.must(os.WriteFile(f.path(fmt.Sprintf("many/a file with a long name that is in a large directory %d", i)), nil, 0o644))
	}
}

// random adds to what was chosen with care what nobody thought of.
func (f *fixture) random(rng *rand.Rand) {
	dirs := []string{"random"}
	for i := range 120 {
		dirs = append(dirs, filepath.Join(dirs[rng.IntN(len(dirs))], fmt.Sprintf("d%d", i)))
	}
	for _, dir := range dirs {
		f.dir(dir)
	}
	extensions := []string{"", ".txt", ".Jpg", ".unheard", ".x" + fmt.Sprint(rng.IntN(100)), "."}
	for i := range 300 {
		rel := filepath.Join(dirs[rng.IntN(len(dirs))], fmt.Sprintf("f%d%s", i, extensions[rng.IntN(len(extensions))]))
		f.sparse(rel, rng.Int64N(1<<rng.IntN(38)))
		at := func() time.Time {
			return f.asOf.Add(-time.Duration(rng.Int64N(1 << rng.IntN(60)))).Add(time.Duration(rng.IntN(1e9)))
		}
		f.times(rel, at(), at())
		if rng.IntN(20) == 0 {
			f.must(os.Link(f.path(rel), f.path(filepath.Join(dirs[rng.IntN(len(dirs))], fmt.Sprint("link", i)))))
		}
	}
}

// owners gives files to others; some of them have no name.
func (f *fixture) owners() {
	if os.Geteuid() != 0 {
		f.t.Log("not here: files of others, which only a superuser makes")
		return
	}
	uids := []int{0, 1, 2, 54321, 54322, 4_123_456_789, 65534}
	gids := []int{0, 1, 3, 54321, 4_111_111_111}
	i := 0
	for _, below := range []string{"sizes", "ages", "links", "permissions", "random", "extensions"} {
		f.must(filepath.WalkDir(f.path(below), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			i++
			if i%3 == 0 {
				return nil
			}
			if err := os.Lchown(path, uids[i%len(uids)], gids[i%len(gids)]); err != nil {
				return err
			}
			if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 { // a new owner takes these away
				return os.Chmod(path, info.Mode())
			}
			return nil
		}))
	}
}
