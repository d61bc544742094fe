package walk

import (
	"slices"
	"strconv"
)

// Take takes tasks that wait, for others: the oldest, which are the largest
// subtrees, and of each deque a share, so that what goes and what stays are
// alike. They are dealt into at most bags bags of at most mostItems items and
// mostBytes bytes of paths and names; of n tasks about n*bags/(bags+1) are given.
//
// What was taken is in no Cut from then on: whoever takes it makes a Cut and
// records both at once. Take waits while a Cut is open. It opens the directories
// that it gives away, to tell which they are, on the caller's goroutine.
func (s *Shared) Take(bags, mostItems, mostBytes int) [][]Item {
	return s.take(bags, mostItems, mostBytes, 0)
}

// TakeNoted is Take, but takes only directories that are items of the last Cut,
// and of which nothing was begun since: whoever has recorded that Cut can give
// them away without another one.
func (s *Shared) TakeNoted(bags, mostItems, mostBytes int) [][]Item {
	s.mu.Lock()
	epoch := s.epoch.Load() - 1
	s.mu.Unlock()
	if epoch == 0 {
		return nil
	}
	return s.take(bags, mostItems, mostBytes, epoch)
}

// take is Take if cut is 0, else it takes only what was noted in that cut.
func (s *Shared) take(bags, mostItems, mostBytes int, cut uint64) [][]Item {
	if bags <= 0 || mostItems <= 0 {
		return nil
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.mu.Lock()
	given := s.open != nil || s.p.stopping()
	s.mu.Unlock()
	if given {
		return nil // a cut that was given up
	}
	t := taker{s: s, bags: make([]bag, bags), mostItems: mostItems, mostBytes: mostBytes}
	t.w = s.taker
	defer t.w.tell()
	defer t.w.reopened.close(s.p)
	tasks := s.oldest(bags, bags*mostItems, cut)
	for i, task := range tasks {
		if !t.deal(task) {
			// The bags are full.
			s.giveBack(tasks[i:])
			break
		}
	}
	var out [][]Item
	for i := range t.bags {
		if items := t.bags[i].done(); len(items) > 0 {
			out = append(out, items)
		}
	}
	s.endTaken(t.emptied)
	return out
}

// oldest takes tasks out of the deques, at most so many; careful ones if there are
// no others.
func (s *Shared) oldest(bags, most int, cut uint64) []task {
	p := s.p
	queues := []*deque{&s.feed}
	for i := range p.started.Load() {
		queues = append(queues, &p.workers[i].Load().q)
	}
	total := 0
	for _, q := range queues {
		total += q.len()
	}
	want := total * bags / (bags + 1)
	if want*(bags+1) < total*bags && p.busy() > 0 {
		want++ // somebody has something in hand besides
	}
	want = min(want, most)
	var tasks []task
	for _, q := range queues {
		if len(tasks) >= want {
			break
		}
		q.mu.Lock()
		n := len(q.tasks) - q.head
		n = min((n*bags+bags)/(bags+1), want-len(tasks), n)
		if cut > 0 {
			n = q.noted(n, cut)
		}
		if n > 0 {
			tasks = q.takeOthers(tasks, n)
		}
		q.mu.Unlock()
	}
	if len(tasks) == 0 && cut == 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		n := len(s.aside)
		if n = n * bags / (bags + 1); n == 0 && len(s.running)+len(s.picked) > 0 {
			n = len(s.aside)
		}
		n = min(n, most)
		tasks = slices.Clone(s.aside[:n])
		s.aside = slices.Delete(s.aside, 0, n)
		return tasks
	}
	slices.SortStableFunc(tasks, func(a, b task) int { return int(a.dir.depth) - int(b.dir.depth) })
	return tasks
}

// noted counts how many of the oldest n tasks are directories that were noted in a
// cut and not begun. The caller holds mu.
func (q *deque) noted(n int, cut uint64) int {
	for i := range n {
		t := &q.tasks[q.head+i]
		plain := t.x == nil && t.chunk == nil || t.x != nil && t.x.item != nil && t.x.item.Part == nil
		if t.dir.cut != uint32(cut) || !plain || t.dir.depth < 0 || t.dir.careful {
			return i
		}
	}
	return n
}

// giveBack puts tasks that were not given away where workers find them.
func (s *Shared) giveBack(tasks []task) {
	if len(tasks) == 0 {
		return
	}
	if tasks[0].dir.careful {
		s.mu.Lock()
		s.aside = slices.Insert(s.aside, 0, tasks...)
		s.mu.Unlock()
		return
	}
	s.feed.push(tasks...)
	s.p.wakeIdle(len(tasks))
}

// taker deals tasks into bags.
type taker struct {
	s                    *Shared
	w                    *worker // opens directories; it is none of the pool
	bags                 []bag
	next                 int
	mostItems, mostBytes int
	emptied              []task // parts that were given away
}

// bag is what one other gets.
type bag struct {
	items []Item
	bytes int
	parts map[*whole]int // where in items
}

func (b *bag) done() []Item {
	for _, at := range b.parts {
		b.items[at].Part.Ranges = joinRanges(b.items[at].Part.Ranges)
	}
	return b.items
}

// deal puts a task into the next bag with room. False: there is none.
func (t *taker) deal(k task) bool {
	if k.chunk == nil && k.x != nil && k.x.ranged {
		return t.dealRange(k)
	}
	for range t.bags {
		b := &t.bags[t.next]
		t.next = (t.next + 1) % len(t.bags)
		if t.fits(b, k) {
			t.give(b, k)
			return true
		}
	}
	return false
}

// dealRange keeps the lowest part of a range and deals the rest of it. False: none
// of it has room.
func (t *taker) dealRange(k task) bool {
	s, d := t.s, k.dir
	n := uint64(len(t.bags) + 1)
	width := (k.x.r.Hi - k.x.r.Lo) / n
	apart := uint64(1)<<s.group.bits - 1 // names of a group are given away together
	keep := Range{k.x.r.Lo, (k.x.r.Lo + width) | apart}
	if width == 0 || keep.Hi >= k.x.r.Hi {
		s.giveBack([]task{k})
		return true
	}
	room := func(b bag) bool { return t.fits(&b, k) }
	if !slices.ContainsFunc(t.bags, room) {
		return false
	}
	for lo := keep.Hi; lo < k.x.r.Hi; {
		r := Range{lo + 1, (lo + 1 + min(width, k.x.r.Hi-lo-1)) | apart}
		if r.Hi >= k.x.r.Hi || k.x.r.Hi-lo-1 <= width+n {
			r.Hi = k.x.r.Hi
		}
		part := task{dir: d, x: &piece{of: k.x.of, ranged: true, r: r}}
		d.reading.parts.Add(1)
		for i := range t.bags {
			b := &t.bags[t.next]
			t.next = (t.next + 1) % len(t.bags)
			if t.fits(b, part) {
				t.give(b, part)
				break
			}
			if i == len(t.bags)-1 {
				s.giveBack([]task{part})
			}
		}
		lo = r.Hi
	}
	// Last, and as the part that k was: until now nobody can end the directory.
	s.giveBack([]task{{dir: d, x: &piece{of: k.x.of, ranged: true, r: keep}}})
	return true
}

// fits tells whether there is room for a task.
func (t *taker) fits(b *bag, k task) bool {
	size := len(k.chunk)
	for a := k.dir; a.parent != nil; a = a.parent {
		size += len(a.name)
	}
	if k.x != nil && k.x.item != nil {
		size = k.x.item.size()
	}
	if b.bytes > 0 && b.bytes+size > t.mostBytes {
		return false
	}
	if k.x != nil && k.x.item == nil {
		if _, ok := b.parts[k.x.of]; ok {
			return true
		}
	}
	return len(b.items) < t.mostItems
}

// size is about what an item takes.
func (it *Item) size() int {
	n := len(it.Path)
	if it.Part != nil {
		for _, names := range it.Part.Names {
			n += len(names.Records)
		}
		n += 16 * len(it.Part.Ranges)
	}
	return n
}

// give puts a task into a bag; it is no task any more.
func (t *taker) give(b *bag, k task) {
	s, d := t.s, k.dir
	switch {
	case k.x != nil && k.x.item != nil:
		it := *k.x.item
		if it.Inode == 0 && k.x.wrong == nil && t.w.identify(d.parent) == nil {
			it.Inode = t.w.inodeOf(d)
		}
		b.add(it)
		s.p.pending.Add(-1)
	case d.depth < 0:
		b.add(Item{Root: d.root.number, File: true, Careful: d.careful, Again: d.again})
		s.p.rootFiles.Add(-1)
		s.p.pending.Add(-1)
	case k.x == nil:
		b.add(Item{Root: d.root.number, Path: d.relative(), Inode: t.w.inodeOf(d), Careful: d.careful, Again: d.again})
		if d.handle != nil {
			d.release(s.p)
		} else if d.parent != nil && d.parent.retained {
			d.parent.release(s.p)
		}
		s.p.pending.Add(-1)
	default:
		wh := k.x.of
		s.mu.Lock()
		s.shareDir(wh)
		at, ok := b.parts[wh]
		if !ok {
			if b.parts == nil {
				b.parts = map[*whole]int{}
			}
			at = len(b.items)
			b.parts[wh] = at
			b.add(s.partItem(wh))
		}
		k.addTo(b.items[at].Part)
		s.mu.Unlock()
		b.bytes += len(k.chunk)
		t.emptied = append(t.emptied, k)
	}
}

func (b *bag) add(it Item) {
	b.items = append(b.items, it)
	b.bytes += it.size() + 1
}

// shareDir gives a directory the name by which several know it. The caller holds
// mu, and a part of the directory.
func (s *Shared) shareDir(wh *whole) {
	if wh.id != "" {
		return
	}
	s.names++
	wh.id = s.o.Name + "." + strconv.FormatUint(s.names, 10)
	wh.sum.Root, wh.sum.Path = wh.d.root.number, wh.d.relative()
	s.dirs[wh.id] = wh.sum
}

// endTaken ends the parts that were given away: if they were the last ones here,
// the directory is done here.
func (s *Shared) endTaken(parts []task) {
	for _, k := range parts {
		if k.x.held > 0 {
			s.held.release(k.x.held)
		}
		d := k.dir
		if d.reading.parts.Add(-1) > 0 {
			continue
		}
		d.reading = nil
		d.release(s.p)
		s.p.finished()
	}
}

// inodeOf opens a directory that waits to tell which it is; 0 if that fails.
func (w *worker) inodeOf(d *Dir) uint64 {
	if d.ino != 0 {
		return d.ino
	}
	if w.p.share.avoids(d) != nil {
		return 0 // it may hang
	}
	h := d.handle
	if h == nil {
		var err error
		if h, _, err = w.openOnce(d); err != nil {
			return 0
		}
		defer h.Close()
	}
	w.fsCall()
	_, ino, err := h.Identity()
	if err != nil {
		return 0
	}
	return ino
}
