package walk

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/hydrawalk/hydra/internal/rawdir"
)

// A huge directory is listed as often as its names fit into memory. Each pass
// keeps the names with the lowest hashes of those that are left, sorted:
//
//	range                 [lo                                      hi]
//	pass: chunks          [lo  a][a+1  b][b+1  c]
//	      and a range                            [c+1              hi]
//
// Order and position of a listing mean nothing to another process, and may to
// none when the directory changes; a hash means the same to all.

// hashName is FNV-1a with a key and the finaliser of MurmurHash3.
func hashName(key uint64, name []byte) uint64 {
	h := key ^ 0xcbf29ce484222325
	for _, c := range name {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// groupBits are those of a hash that the names of a group may differ in, so that a
// group that is too large to be held can be divided like others.
const groupBits = 16

// hashOf is the hash of a name: of its group above, and of itself below.
func (w *worker) hashOf(name rawdir.Name) uint64 {
	s, b := w.p.share, name.Bytes()
	if s.o.Group == nil {
		return s.hash(s.o.Key, b)
	}
	key := s.o.Group(w.key[:0], b)
	if cap(key) <= maxKey {
		w.key = key[:0:cap(key)]
	}
	return s.hash(s.o.Key, key)&^(1<<groupBits-1) | s.hash(s.o.Key, b)>>(64-groupBits)
}

// budget bounds the memory for names of huge directories.
type budget struct {
	least int64 // what each pass may have whatever the others took

	mu   sync.Mutex
	left int64
}

// processBudget is that of all walks of the process.
var processBudget = budget{least: 1 << 20, left: 64 << 20}

// acquire takes n bytes, if there are as many or force is set.
func (b *budget) acquire(n int64, force bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.left && !force {
		return false
	}
	b.left -= n
	return true
}

func (b *budget) release(n int64) { b.acquire(-n, true) }

// purse is what one walk holds of a budget.
type purse struct {
	of *budget

	mu     sync.Mutex
	held   int64
	closed bool // all was given back, and nothing is counted any more
}

func (p *purse) acquire(n int64, force bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return force
	}
	if !p.of.acquire(n, force) {
		return false
	}
	p.held += n
	return true
}

func (p *purse) release(n int64) { p.acquire(-n, true) }

// close gives back all that is held, when the walk ends or is given up.
func (p *purse) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of.release(p.held)
	p.held, p.closed = 0, true
}

// gathered holds the names that a pass keeps.
type gathered struct {
	purse   *purse
	most    groupLimit
	r       Range // what is gathered; Hi is lowered when it does not fit
	records []byte
	index   []indexed
	granted int64
}

// indexed is a record in gathered.records.
type indexed struct {
	hash uint64
	at   int
}

// perName is what a name takes besides its records, which are held twice when
// chunks are made of them.
const perName = 2*16 + 2*24

func (g *gathered) add(hash uint64, ent *rawdir.Dirent) {
	need := int64(2*rawdir.RecordLen(ent.Name)) + perName
	if g.used()+need > g.granted {
		step := max(g.purse.of.least, need)
		if g.purse.acquire(step, g.granted == 0) {
			g.granted += step
		} else if !g.halve() {
			g.purse.acquire(step, true) // all have one hash
			g.granted += step
		}
		if hash > g.r.Hi {
			return
		}
	}
	g.index = append(g.index, indexed{hash, len(g.records)})
	g.records = rawdir.AppendRecord(g.records, ent.Ino, ent.Type, ent.Name)
}

func (g *gathered) used() int64 { return int64(2*len(g.records)) + perName*int64(len(g.index)) }

// halve drops the half with the higher hashes. False: there is but one hash, or one
// group that is to be held.
func (g *gathered) halve() bool {
	g.sort()
	bits := g.most.bits
	keep := g.half(bits)
	if keep == len(g.index) && bits > 0 && g.most.exceeded(len(g.index), len(g.records)) {
		bits = 0
		keep = g.half(bits)
	}
	if keep == len(g.index) {
		return false
	}
	g.index = g.index[:keep]
	g.r.Hi = min(g.r.Hi, g.index[keep-1].hash|(1<<bits-1))
	kept := make([]byte, 0, cap(g.records))
	for i := range g.index {
		at := len(kept)
		kept = append(kept, g.record(g.index[i].at)...)
		g.index[i].at = at
	}
	g.records = kept
	return true
}

// half is about the half of the names, such that those which differ only in the
// lowest bits of their hashes are together; all, if there is no such.
func (g *gathered) half(bits int) int {
	group := func(i int) uint64 { return g.index[i].hash >> bits }
	keep := len(g.index) / 2
	for keep > 0 && group(keep-1) == group(keep) {
		keep--
	}
	if keep == 0 {
		for keep = len(g.index) / 2; keep < len(g.index) && group(keep) == group(0); keep++ {
		}
	}
	return keep
}

func (g *gathered) sort() {
	slices.SortFunc(g.index, func(a, b indexed) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.at, b.at))
	})
}

// record is the record at a position.
func (g *gathered) record(at int) []byte {
	var ent rawdir.Dirent
	rest, err := rawdir.Next(g.records[at:], &ent)
	if err != nil {
		panic("walk: a record that was written can not be read")
	}
	return g.records[at : len(g.records)-len(rest)]
}

// chunks makes tasks of about size bytes, in the order of hashes. Together they
// cover r. Names of one hash stay together, and those of one group as far as that
// is not too large.
func (g *gathered) chunks(d *Dir, of *whole, size int) []task {
	g.sort()
	var tasks []task
	lo := g.r.Lo
	for i := 0; i < len(g.index); {
		chunk := make([]byte, 0, size)
		first, bits := i, g.most.bits
		for ; i < len(g.index); i++ {
			record := g.record(g.index[i].at)
			if len(chunk)+len(record) > size && len(chunk) > 0 {
				differ := g.index[i].hash ^ g.index[i-1].hash
				if differ>>g.most.bits != 0 {
					break
				}
				if differ != 0 && g.most.exceeded(i-first, len(chunk)) {
					bits = 0
					break
				}
			}
			chunk = append(chunk, record...)
		}
		hi := g.r.Hi
		if i < len(g.index) {
			hi = g.index[i].hash&^(1<<bits-1) - 1
		}
		held := int64(cap(chunk))
		g.granted -= held
		tasks = append(tasks, task{dir: d, chunk: chunk, x: &piece{of: of, raw: true, ranged: true, r: Range{lo, hi}, held: held}})
		lo = hi + 1
	}
	// The rest of what was granted is free again, or was needed beyond it.
	g.purse.release(g.granted)
	g.records, g.index, g.granted = nil, nil, 0
	return tasks
}

// listRange lists d and makes chunks of what is in the range of x, and a range of
// what does not fit into memory. The caller ends the part that x was.
func (w *worker) listRange(ctx context.Context, d *Dir, x *piece) {
	s, r := w.p.share, d.reading
	if r.skipRest.Load() {
		return // it is not read
	}
	again := func() (rawdir.Dir, error) {
		w.enterCall(callReaddir, d)
		defer w.leaveCall()
		w.fsCall()
		return d.handle.Again()
	}
	h, err := again()
	if isTooMany(err) {
		w.makeRoom(err)
		h, err = again()
	}
	if err != nil {
		w.readFailed(ctx, d, err)
		return
	}
	w.p.fds.Add(1)
	defer func() {
		h.Close()
		w.p.fds.Add(-1)
	}()
	g := gathered{purse: &s.held, most: s.group, r: x.r}
	for ended := false; !ended && !r.skipRest.Load(); {
		if !w.mayGoOn(ctx, d, x) {
			s.held.release(g.granted)
			return
		}
		var n int
		n, ended = w.fill(ctx, d, h, w.buf)
		if err := w.gather(&g, w.buf[:n]); err != nil {
			w.readFailed(ctx, d, err)
			ended = true
		}
		w.breathe()
	}
	w.giveGathered(d, x, &g)
}

// gather keeps the names of a chunk that are in the range of g.
func (w *worker) gather(g *gathered, chunk []byte) error {
	var ent rawdir.Dirent
	for {
		rest, err := rawdir.Next(chunk, &ent)
		if err != nil || ent.Name == "" {
			return err
		}
		chunk = rest
		if hash := w.hashOf(ent.Name); g.r.Lo <= hash && hash <= g.r.Hi {
			g.add(hash, &ent)
		}
	}
}

// giveGathered gives away what was gathered of the range of x, in chunks, and what
// is left of it.
func (w *worker) giveGathered(d *Dir, x *piece, g *gathered) {
	left := Range{g.r.Hi, x.r.Hi}
	tasks := g.chunks(d, x.of, w.p.share.chunk)
	if left.Lo < left.Hi {
		left.Lo++
		tasks = append(tasks, task{dir: d, x: &piece{of: x.of, ranged: true, r: left}})
	}
	if len(tasks) == 0 {
		return
	}
	d.reading.parts.Add(int32(len(tasks)))
	slices.Reverse(tasks) // the lowest is taken first
	w.give(tasks...)
}
