//go:build linux

package audit_test

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// The truth is what an audit has to say of trees, computed by other means: slowly,
// with all in memory, by system calls alone. Nothing of the program is used here.
type truth struct {
	truthOptions
	files []*truthFile // regular ones, a name each
	dirs  []*truthDir
	kinds map[string]int64 // of what is neither

	owners map[string]map[uint32]string // by data base, once they were asked for
}

type truthOptions struct {
	roots      []string
	asOf       time.Time
	block      int64
	treeDepth  int
	top        int
	categories map[string]string // by extension
	resolve    bool              // look where symbolic links lead
}

type truthFile struct {
	path, name                 string
	ancestors                  []string // from the root to where it is listed; the root itself if that is a file
	size, allocated            int64
	uid, gid                   uint32
	perm                       uint32
	links, inode               uint64
	atime, mtime, ctime, btime time.Time // btime is zero if it is not known
}

// depth is that of the directory that lists the file.
func (f *truthFile) depth() int { return len(f.ancestors) - 1 }

type truthDir struct {
	path               string
	ancestors          []string // from the root to itself
	dirs, files, other int64
	allocated          int64
	perm               uint32
}

func (d *truthDir) depth() int     { return len(d.ancestors) - 1 }
func (d *truthDir) entries() int64 { return d.dirs + d.files + d.other }

// newTruth reads the trees.
func newTruth(t testing.TB, o truthOptions) *truth {
	t.Helper()
	w := &truth{truthOptions: o, kinds: map[string]int64{}, owners: map[string]map[uint32]string{}}
	for i, root := range w.roots {
		w.roots[i] = filepath.Clean(root)
		if err := w.read(w.roots[i], nil); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *truth) read(path string, above []string) error {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		list, err := os.ReadDir(path)
		if err != nil {
			return err
		}
		d := &truthDir{path: path, ancestors: append(slices.Clone(above), path), allocated: st.Blocks * 512, perm: st.Mode & 0o7777}
		w.dirs = append(w.dirs, d)
		for _, e := range list {
			below := path + "/" + e.Name()
			switch {
			case e.IsDir():
				d.dirs++
			case e.Type().IsRegular():
				d.files++
			default:
				d.other++
			}
			if err := w.read(below, d.ancestors); err != nil {
				return err
			}
		}
	case syscall.S_IFREG:
		if above == nil {
			above = []string{path}
		}
		f := &truthFile{
			path: path, name: path[strings.LastIndex(path, "/")+1:], ancestors: above,
			size: st.Size, allocated: st.Blocks * 512, uid: st.Uid, gid: st.Gid, perm: st.Mode & 0o7777, links: uint64(st.Nlink), inode: st.Ino,
			atime: time.Unix(st.Atim.Unix()), mtime: time.Unix(st.Mtim.Unix()), ctime: time.Unix(st.Ctim.Unix()),
		}
		var stx unix.Statx_t
		if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BTIME, &stx); err != nil {
			return err
		}
		if stx.Mask&unix.STATX_BTIME != 0 && (stx.Btime.Sec != 0 || stx.Btime.Nsec != 0) {
			f.btime = time.Unix(stx.Btime.Sec, int64(stx.Btime.Nsec))
		}
		w.files = append(w.files, f)
	case syscall.S_IFLNK:
		kind := "symlink_files"
		if info, err := os.Stat(path); w.resolve && err == nil && info.IsDir() {
			kind = "symlink_dirs"
		}
		w.kinds[kind]++
	case syscall.S_IFIFO:
		w.kinds["fifo_files"]++
	case syscall.S_IFSOCK:
		w.kinds["socket_files"]++
	case syscall.S_IFBLK:
		w.kinds["block_device_files"]++
	case syscall.S_IFCHR:
		w.kinds["char_device_files"]++
	default:
		w.kinds["other_files"]++
	}
	return nil
}

// object is a JSON object.
type object = map[string]any

// use is files, their bytes, and those on disk.
type use struct{ count, bytes, allocated int64 }

func (u *use) add(f *truthFile) {
	u.count++
	u.bytes += f.size
	u.allocated += f.allocated
}

func (u use) json() object {
	return object{"count": u.count, "bytes": u.bytes, "allocated": u.allocated}
}

// useOf sums up the files that which holds for.
func (w *truth) useOf(which func(*truthFile) bool) use {
	var u use
	for _, f := range w.files {
		if which(f) {
			u.add(f)
		}
	}
	return u
}

// group sums up files by a key.
func group[K comparable](w *truth, key func(*truthFile) K) map[K]*use {
	m := map[K]*use{}
	for _, f := range w.files {
		k := key(f)
		if m[k] == nil {
			m[k] = new(use)
		}
		m[k].add(f)
	}
	return m
}

func groupJSON[K comparable](m map[K]*use, key func(K) string) object {
	out := object{}
	for k, u := range m {
		out[key(k)] = u.json()
	}
	return out
}

func number[K uint32 | uint64](n K) string { return strconv.FormatUint(uint64(n), 10) }

// blocks is a size rounded up.
func (w *truth) blocks(size int64) int64 {
	var n int64
	for n*w.block < size {
		n += max((size-n*w.block)/w.block, 1)
	}
	return n * w.block
}

// extensionOf is what follows the last dot of a name in lower case; dots that it
// begins with do not count.
func extensionOf(name string) string {
	name = strings.TrimLeft(name, ".")
	parts := strings.Split(name, ".")
	if len(parts) == 1 {
		return ""
	}
	ext := parts[len(parts)-1]
	if utf8.ValidString(ext) {
		return strings.ToLower(ext)
	}
	lower := []byte(ext)
	for i, c := range lower {
		if c >= 'A' && c <= 'Z' {
			lower[i] += 32
		}
	}
	return string(lower)
}

// categoryOf is the category of an extension.
func (w *truth) categoryOf(ext string) string { return cmp.Or(w.categories[ext], "other") }

// readCategories reads a table of categories.
func readCategories(t testing.TB, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, list, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
			for word := range strings.FieldsSeq(list) {
				m[strings.ToLower(strings.TrimPrefix(word, "."))] = strings.TrimSpace(name)
			}
		}
	}
	return m
}

// The edges of bins; the last bin has none.
var (
	sizeEdges = []int64{0, 1 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 1 << 20, 10 << 20, 100 << 20, 1 << 30, 10 << 30, 100 << 30, 1 << 40}
	ageEdges  = []int64{0, 60, 60 * 60, 24 * 60 * 60, 2 * 86400, 7 * 86400, 30 * 86400, 60 * 86400, 90 * 86400, 180 * 86400,
		365 * 86400, 730 * 86400, 1095 * 86400, 1460 * 86400, 1825 * 86400, 3650 * 86400}
)

func sizeBin(size int64) int {
	for i, edge := range sizeEdges {
		if size <= edge {
			return i
		}
	}
	return len(sizeEdges)
}

// ageBin is the first bin whose edge, counted back from asOf, is not after a time.
func (w *truth) ageBin(at time.Time) int {
	for i, edge := range ageEdges {
		if !at.Before(w.asOf.Add(-time.Duration(edge) * time.Second)) {
			return i
		}
	}
	return len(ageEdges)
}

// ageSeconds is how old something is, in seconds that have begun.
func (w *truth) ageSeconds(at time.Time) int64 {
	nano := func(t time.Time) *big.Int {
		n := new(big.Int).Mul(big.NewInt(t.Unix()), big.NewInt(1e9))
		return n.Add(n, big.NewInt(int64(t.Nanosecond())))
	}
	age := new(big.Int).Sub(nano(w.asOf), nano(at))
	if age.Sign() <= 0 {
		return 0
	}
	age.Add(age, big.NewInt(1e9-1))
	return age.Div(age, big.NewInt(1e9)).Int64()
}

// bin is one of a histogram.
type bin struct{ count, bytes int64 }

func histogramJSON(edges []int64, bins []bin) []any {
	var out []any
	for i, b := range bins {
		o := object{"le": nil, "count": b.count, "bytes": b.bytes}
		if i < len(edges) {
			o["le"] = edges[i]
		}
		out = append(out, o)
	}
	return out
}

// bySize is the histogram of sizes that size tells.
func (w *truth) bySize(size func(*truthFile) int64) []bin {
	bins := make([]bin, len(sizeEdges)+1)
	for _, f := range w.files {
		b := &bins[sizeBin(size(f))]
		b.count++
		b.bytes += size(f)
	}
	return bins
}

// byAge has the histogram of sizes for each bin of ages.
func (w *truth) byAge(at func(*truthFile) time.Time) [][]bin {
	rows := make([][]bin, len(ageEdges)+1)
	for i := range rows {
		rows[i] = make([]bin, len(sizeEdges)+1)
	}
	for _, f := range w.files {
		if at(f).IsZero() {
			continue
		}
		b := &rows[w.ageBin(at(f))][sizeBin(f.size)]
		b.count++
		b.bytes += f.size
	}
	return rows
}

func sumBins(bins []bin) bin {
	var all bin
	for _, b := range bins {
		all.count += b.count
		all.bytes += b.bytes
	}
	return all
}

func sumRows(rows [][]bin) []bin {
	out := make([]bin, len(rows))
	for i, row := range rows {
		out[i] = sumBins(row)
	}
	return out
}

func byAgeJSON(rows [][]bin) []any {
	out := histogramJSON(ageEdges, sumRows(rows))
	for i, row := range rows {
		out[i].(object)["by_size"] = histogramJSON(sizeEdges, row)
	}
	return out
}

func atimeOf(f *truthFile) time.Time { return f.atime }
func mtimeOf(f *truthFile) time.Time { return f.mtime }
func ctimeOf(f *truthFile) time.Time { return f.ctime }
func btimeOf(f *truthFile) time.Time { return f.btime }
func sizeOf(f *truthFile) int64      { return f.size }

// pathJSON is an object with a path.
func pathJSON(path string) object {
	if utf8.ValidString(path) {
		return object{"path": path}
	}
	return object{"path": strings.ToValidUTF8(path, "\uFFFD"), "path_b64": base64.StdEncoding.EncodeToString([]byte(path))}
}

func timeJSON(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func (f *truthFile) json() object {
	o := pathJSON(f.path)
	for name, v := range (object{
		"filesize": f.size, "allocated": f.allocated, "uid": f.uid, "gid": f.gid, "perm": fmt.Sprintf("%04o", f.perm), "links": f.links, "inode": f.inode,
		"atime": timeJSON(f.atime), "mtime": timeJSON(f.mtime), "ctime": timeJSON(f.ctime), "btime": timeJSON(f.btime),
	}) {
		o[name] = v
	}
	return o
}

// largest are the n files of the largest rank, then by path.
func (w *truth) largest(n int, which func(*truthFile) bool, rank func(*truthFile) int64) []*truthFile {
	var list []*truthFile
	for _, f := range w.files {
		if which(f) {
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(a, b *truthFile) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), strings.Compare(a.path, b.path))
	})
	return list[:min(n, len(list))]
}

func listJSON(n int, list []*truthFile) object {
	out := []any{}
	for _, f := range list {
		out = append(out, f.json())
	}
	return object{"n": n, "list": out}
}

// Lists by owner and findings have this length at most.
const hundred = 100

func every(*truthFile) bool             { return true }
func isSparse(f *truthFile) bool        { return f.allocated < f.size }
func missing(f *truthFile) int64        { return f.size - f.allocated }
func isSetID(f *truthFile) bool         { return f.perm&0o6000 != 0 }
func isWorldWritable(f *truthFile) bool { return f.perm&2 != 0 }
func uidOf(f *truthFile) uint32         { return f.uid }
func gidOf(f *truthFile) uint32         { return f.gid }

func (w *truth) byOwner(owner func(*truthFile) uint32) map[uint32][]*truthFile {
	out := map[uint32][]*truthFile{}
	for id := range group(w, owner) {
		out[id] = w.largest(min(w.top, hundred), func(f *truthFile) bool { return owner(f) == id }, sizeOf)
	}
	return out
}

func (w *truth) byOwnerJSON(owner func(*truthFile) uint32) object {
	out := object{}
	for id, list := range w.byOwner(owner) {
		out[number(id)] = listJSON(min(w.top, hundred), list)
	}
	return out
}

// dirUse is what lies in a directory and below it.
type dirUse struct {
	path               string
	depth              int
	files, dirs, empty int64
	bytes, allocated   int64
	newest             time.Time
}

// tree is use by directory, by depth and path.
func (w *truth) tree() []*dirUse {
	type key struct {
		depth int
		path  string
	}
	m := map[key]*dirUse{}
	at := func(ancestors []string, add func(*dirUse)) {
		for depth, path := range ancestors {
			if depth > w.treeDepth {
				break
			}
			k := key{depth, path}
			if m[k] == nil {
				m[k] = &dirUse{path: path, depth: depth}
			}
			add(m[k])
		}
	}
	for _, d := range w.dirs {
		at(d.ancestors, func(u *dirUse) {
			u.dirs++
			if d.entries() == 0 {
				u.empty++
			}
		})
	}
	for _, f := range w.files {
		at(f.ancestors, func(u *dirUse) {
			u.files++
			u.bytes += f.size
			u.allocated += f.allocated
			if f.mtime.After(u.newest) || u.newest.IsZero() {
				u.newest = f.mtime
			}
		})
	}
	var out []*dirUse
	for _, u := range m {
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b *dirUse) int {
		return cmp.Or(cmp.Compare(a.depth, b.depth), strings.Compare(a.path, b.path))
	})
	return out
}

func (w *truth) treeJSON() object {
	list := []any{}
	for _, u := range w.tree() {
		o := pathJSON(u.path)
		for name, v := range (object{"depth": u.depth, "files": u.files, "dirs": u.dirs, "empty_dirs": u.empty, "bytes": u.bytes, "allocated": u.allocated, "newest_mtime": timeJSON(u.newest)}) {
			o[name] = v
		}
		list = append(list, o)
	}
	return object{"depth": w.treeDepth, "left_out": []any{}, "list": list}
}

// perDepth are sums by the depth of a directory.
type perDepth struct{ dirs, files, bytes, blocks, most int64 }

func (w *truth) perDepth() []perDepth {
	var out []perDepth
	at := func(depth int) *perDepth {
		for len(out) <= depth {
			out = append(out, perDepth{})
		}
		return &out[depth]
	}
	for _, d := range w.dirs {
		p := at(d.depth())
		p.dirs++
		p.most = max(p.most, d.files)
	}
	for _, f := range w.files {
		p := at(f.depth())
		p.files++
		p.bytes += f.size
		p.blocks += w.blocks(f.size)
	}
	return out
}

// column takes one number of each depth.
func column[N int64 | float64](list []perDepth, of func(perDepth) N) []any {
	out := []any{}
	for _, p := range list {
		out = append(out, of(p))
	}
	return out
}

func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// unique counts each file once: it divides by the number of its names, half up.
func (w *truth) unique() use {
	var all use
	for links, u := range group(w, linksOf) {
		v := divided(*u, links)
		all.count += v.count
		all.bytes += v.bytes
		all.allocated += v.allocated
	}
	return all
}

func linksOf(f *truthFile) uint64 { return f.links }

func divided(u use, links uint64) use {
	by := int64(links)
	half := func(n int64) int64 { return (2*n + by) / (2 * by) }
	return use{half(u.count), half(u.bytes), half(u.allocated)}
}

// ownerNames are the names of owners in a data base: "passwd" or "group".
func (w *truth) ownerNames(database string, owner func(*truthFile) uint32) map[uint32]string {
	if names := w.owners[database]; names != nil {
		return names
	}
	names := map[uint32]string{}
	w.owners[database] = names
	var lines []string
	if getent, err := exec.LookPath("getent"); err == nil {
		for id := range group(w, owner) {
			out, _ := exec.Command(getent, database, number(id)).Output() // it fails if there is none
			lines = append(lines, string(out))
		}
	} else if text, err := os.ReadFile("/etc/" + database); err == nil {
		lines = strings.Split(string(text), "\n")
	}
	for _, line := range lines {
		if fields := strings.Split(line, ":"); len(fields) > 2 {
			if id, err := strconv.ParseUint(fields[2], 10, 32); err == nil && names[uint32(id)] == "" {
				names[uint32(id)] = fields[0]
			}
		}
	}
	for id := range names {
		if !slices.ContainsFunc(w.files, func(f *truthFile) bool { return owner(f) == id }) {
			delete(names, id)
		}
	}
	return names
}

func namesJSON(names map[uint32]string) object {
	out := object{}
	for id, name := range names {
		out[number(id)] = name
	}
	return out
}

// numbers are the statistics as JSON has them, by name. What is told by
// quantities is not among them: see quantities.
func (w *truth) numbers() object {
	n := object{}
	// What every application counts.
	skipped := int64(0)
	for _, kind := range []string{"symlink_files", "symlink_dirs", "fifo_files", "socket_files", "block_device_files", "char_device_files", "other_files"} {
		n[kind] = w.kinds[kind]
		skipped += w.kinds[kind]
	}
	n["processed_files"], n["processed_dirs"], n["skipped_files"] = len(w.files), len(w.dirs), skipped
	for _, nothing := range []string{"filtered_dirs", "filtered_files", "failed_files", "queued_dirs", "queued_files", "error_stat_dirs", "error_stat_files", "error_owner_names", "error_group_names"} {
		n[nothing] = 0
	}
	n["num_clients"], n["work_paths"], n["block_size"], n["reference_time"] = 1, len(w.roots), w.block, timeJSON(w.asOf)

	all := w.useOf(every)
	inBlocks := int64(0)
	for _, f := range w.files {
		inBlocks += w.blocks(f.size)
	}
	n["file_size_total"], n["file_size_block_total"], n["allocated_total"] = all.bytes, inBlocks, all.allocated
	n["average_file_size"], n["average_file_size_block"] = ratio(all.bytes, all.count), ratio(inBlocks, all.count)

	var depths, parents, empty, deepest, widest, most, allocated, writable, unsticky int64
	for _, d := range w.dirs {
		depths += int64(d.depth())
		allocated += d.allocated
		deepest, widest, most = max(deepest, int64(d.depth())), max(widest, d.dirs), max(most, d.files)
		if d.dirs > 0 {
			parents++
		}
		if d.entries() == 0 {
			empty++
		}
		if d.perm&2 != 0 {
			writable++
			if d.perm&0o1000 == 0 {
				unsticky++
			}
		}
	}
	n["dir_depth_total"], n["parent_dirs_total"], n["empty_dirs"], n["allocated_dirs_total"] = depths, parents, empty, allocated
	n["max_dir_depth"], n["max_dir_width"], n["max_files_in_dir"] = deepest, widest, most
	n["world_writable_dirs"], n["world_writable_dirs_not_sticky"] = writable, unsticky
	n["average_directory_depth"], n["average_directory_width"] = ratio(depths, int64(len(w.dirs))), ratio(max(int64(len(w.dirs))-1, 0), parents)

	files := w.perDepth()
	dirs := files[:min(len(files), int(deepest)+min(len(w.dirs), 1))]
	n["dir_total_per_dir_depth"] = column(dirs, func(p perDepth) int64 { return p.dirs })
	n["max_files_in_dir_per_dir_depth"] = column(dirs, func(p perDepth) int64 { return p.most })
	n["files_total_per_dir_depth"] = column(files, func(p perDepth) int64 { return p.files })
	n["file_size_total_per_dir_depth"] = column(files, func(p perDepth) int64 { return p.bytes })
	n["file_size_block_total_per_dir_depth"] = column(files, func(p perDepth) int64 { return p.blocks })
	n["average_file_size_per_dir_depth"] = column(files, func(p perDepth) float64 { return ratio(p.bytes, p.files) })
	n["average_file_size_block_per_dir_depth"] = column(files, func(p perDepth) float64 { return ratio(p.blocks, p.files) })
	n["average_files_per_dir_depth"] = column(dirs, func(p perDepth) float64 { return ratio(p.files, p.dirs) })

	n["hist_file_count_by_size"] = histogramJSON(sizeEdges, w.bySize(sizeOf))
	n["hist_file_count_by_block_size"] = histogramJSON(sizeEdges, w.bySize(func(f *truthFile) int64 { return w.blocks(f.size) }))
	n["hist_file_count_by_atime"] = byAgeJSON(w.byAge(atimeOf))
	n["hist_file_count_by_mtime"] = byAgeJSON(w.byAge(mtimeOf))
	n["hist_file_count_by_ctime"] = byAgeJSON(w.byAge(ctimeOf))
	n["hist_file_count_by_btime"] = byAgeJSON(w.byAge(btimeOf))

	extensions := object{}
	categories := map[string]*use{}
	for ext, u := range group(w, func(f *truthFile) string { return extensionOf(f.name) }) {
		o := u.json()
		if category := w.categories[ext]; category != "" {
			o["category"] = category
		}
		extensions[textKey(ext)] = o
		category := w.categoryOf(ext)
		if categories[category] == nil {
			categories[category] = new(use)
		}
		sum := categories[category]
		*sum = use{sum.count + u.count, sum.bytes + u.bytes, sum.allocated + u.allocated}
	}
	n["extensions"] = extensions
	n["category"] = groupJSON(categories, func(name string) string { return name })

	n["total_by_uid"], n["total_by_gid"], n["total_by_sid"] = groupJSON(group(w, uidOf), number), groupJSON(group(w, gidOf), number), object{}
	n["total_by_perm"] = groupJSON(group(w, func(f *truthFile) uint32 { return f.perm }), func(perm uint32) string { return fmt.Sprintf("%04o", perm) })
	n["total_by_links"] = groupJSON(group(w, linksOf), number)
	users, groups := w.ownerNames("passwd", uidOf), w.ownerNames("group", gidOf)
	n["uid_names"], n["gid_names"], n["sid_names"] = namesJSON(users), namesJSON(groups), object{}
	n["files_without_owner_name"] = w.useOf(func(f *truthFile) bool { return users[f.uid] == "" }).json()
	n["files_without_group_name"] = w.useOf(func(f *truthFile) bool { return groups[f.gid] == "" }).json()
	n["sparse_files"] = w.useOf(isSparse).json()
	n["hard_linked"] = w.useOf(func(f *truthFile) bool { return f.links > 1 }).json()
	n["unique"] = w.unique().json()
	n["setuid_files"] = w.useOf(func(f *truthFile) bool { return f.perm&0o4000 != 0 }).json()
	n["setgid_files"] = w.useOf(func(f *truthFile) bool { return f.perm&0o2000 != 0 }).json()
	n["world_writable_files"] = w.useOf(isWorldWritable).json()

	n["top_n_file_size"] = listJSON(w.top, w.largest(w.top, every, sizeOf))
	n["top_n_file_size_by_uid"], n["top_n_file_size_by_gid"], n["top_n_file_size_by_sid"] = w.byOwnerJSON(uidOf), w.byOwnerJSON(gidOf), object{}
	n["top_n_sparse"] = listJSON(hundred, w.largest(hundred, isSparse, missing))
	n["top_n_setuid"] = listJSON(hundred, w.largest(hundred, isSetID, sizeOf))
	n["top_n_world_writable"] = listJSON(hundred, w.largest(hundred, isWorldWritable, sizeOf))
	n["top_n_dir_entries"] = w.dirsJSON(w.byEntries(), func(d *truthDir) object {
		return object{"entries": d.entries(), "dirs": d.dirs, "files": d.files, "other": d.other}
	})
	n["top_n_dir_depth"] = w.dirsJSON(w.deepest(), func(d *truthDir) object { return object{"depth": d.depth()} })
	n["use_by_directory"] = w.treeJSON()
	return n
}

// largestDirs are the hundred of the largest rank, then by path.
func (w *truth) largestDirs(rank func(*truthDir) int64) []*truthDir {
	list := slices.SortedFunc(slices.Values(w.dirs), func(a, b *truthDir) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), strings.Compare(a.path, b.path))
	})
	return list[:min(hundred, len(list))]
}

func (w *truth) byEntries() []*truthDir { return w.largestDirs((*truthDir).entries) }
func (w *truth) deepest() []*truthDir {
	return w.largestDirs(func(d *truthDir) int64 { return int64(d.depth()) })
}

func (w *truth) dirsJSON(list []*truthDir, fields func(*truthDir) object) object {
	out := []any{}
	for _, d := range list {
		o := pathJSON(d.path)
		for name, v := range fields(d) {
			o[name] = v
		}
		out = append(out, o)
	}
	return object{"n": hundred, "list": out}
}

// textKey is a text as the key of a group: as Go quotes it if JSON has no such
// text, and if it could be taken for a quoted one, or for the rest.
func textKey(s string) string {
	if !utf8.ValidString(s) || strings.HasPrefix(s, `"`) || s == "other" {
		return strconv.QuoteToASCII(s)
	}
	return s
}

// quantities are the numbers that quantiles are told of, by the name of those,
// in order.
func (w *truth) quantities() map[string][]int64 {
	out := map[string][]int64{}
	for name, of := range map[string]func(*truthFile) int64{
		"file_size_quantiles":      sizeOf,
		"file_atime_age_quantiles": func(f *truthFile) int64 { return w.ageSeconds(f.atime) },
		"file_mtime_age_quantiles": func(f *truthFile) int64 { return w.ageSeconds(f.mtime) },
	} {
		var list []int64
		for _, f := range w.files {
			list = append(list, of(f))
		}
		slices.Sort(list)
		out[name] = list
	}
	return out
}

// quantile is the smallest number that so many of a hundred thousand do not exceed.
func quantile(sorted []int64, part int64) int64 {
	const whole = 100_000
	rank := (part*int64(len(sorted)) + whole - 1) / whole
	return sorted[max(rank, 1)-1]
}
