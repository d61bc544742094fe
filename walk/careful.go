package walk

import (
	"context"
	"errors"
)

// setAside keeps careful directories that w found until they are picked.
func (s *Shared) setAside(w *worker, ts []task) {
	s.mu.Lock()
	s.aside = append(s.aside, ts...)
	if w.behind() {
		// They were found before the worker's cut, and the list was noted already.
		s.open.notes = append(s.open.notes, ts...)
	}
	s.mu.Unlock()
	s.notify()
}

// NextCareful picks up to n of the newest careful items that wait, for RunCareful,
// and returns them: whoever lets them go can note before what might harm it.
// They are part of what remains until they are done.
func (s *Shared) NextCareful(n int) []Item {
	return s.NextNamed(n, func(Item) bool { return false })
}

// NextNamed is NextCareful, but an item of which alone says so is picked only if
// no careful item is under way, and with no other one.
func (s *Shared) NextNamed(n int, alone func(Item) bool) []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := min(max(n, 0), len(s.aside))
	n = 0
	for n < most {
		item := s.items([]task{s.aside[len(s.aside)-1-n]})[0]
		if alone(item) {
			if n == 0 && len(s.running) == 0 {
				n = 1
			}
			break
		}
		n++
	}
	from := len(s.aside) - n
	picked := append([]task(nil), s.aside[from:]...)
	clear(s.aside[from:])
	s.aside = s.aside[:from]
	s.picked = append(s.picked, picked...)
	var items []Item
	for _, t := range picked {
		items = append(items, s.items([]task{t})...)
	}
	return items
}

// RunCareful lets those run that were picked. What is found below them waits
// again.
func (s *Shared) RunCareful() {
	s.mu.Lock()
	n := len(s.picked)
	for _, t := range s.picked {
		s.running[t.dir] = struct{}{}
	}
	s.feed.push(s.picked...)
	s.picked = nil
	s.mu.Unlock()
	s.p.wakeIdle(n)
}

// carefulDone ends a careful item. What was found below it waits already.
func (s *Shared) carefulDone(d *Dir) {
	s.mu.Lock()
	delete(s.running, d)
	none := len(s.running) == 0
	s.mu.Unlock()
	if none {
		s.notify()
	}
}

// Avoid sets the directories that are not entered: they are counted as failed,
// each with its error. It takes the place of an earlier list, and does not stop
// what was entered already.
func (s *Shared) Avoid(list []Avoided) {
	if len(list) == 0 {
		s.avoided.Store(nil)
		return
	}
	m := make(map[string]string, len(list))
	for _, a := range list {
		m[avoidKey(a.Root, a.Path)] = a.Err
	}
	s.avoided.Store(&m)
}

// avoids is the error of a directory that is not entered.
func (s *Shared) avoids(d *Dir) error {
	m := s.avoided.Load()
	if m == nil {
		return nil
	}
	if text, ok := (*m)[avoidKey(d.root.number, d.relative())]; ok {
		return errors.New(text)
	}
	return nil
}

// avoid counts a directory that is not entered.
func (w *worker) avoid(ctx context.Context, d *Dir, err error) {
	if d.handle != nil {
		d.release(w.p)
	} else if d.parent != nil && d.parent.retained {
		d.parent.release(w.p)
	}
	w.c.FailedDirs++
	w.report(ctx, d.fail(OpOpen, err))
	w.finished(d)
}

// Hungry says that so many others wait for work: workers with nothing queued
// split what is in hand, so that there is something to take. 0: no more.
func (s *Shared) Hungry(bags int) {
	if bags > 0 {
		s.p.attention.Or(hungry)
	} else {
		s.p.attention.And(^int32(hungry))
	}
}

// Forget drops what was counted in parts of directories: nobody needs it any more.
func (s *Shared) Forget(dirs []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range dirs {
		delete(s.dirs, id)
	}
}

// CarefulRunning are the careful directories that were let go and are not done,
// as items that name them.
func (s *Shared) CarefulRunning() []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []Item
	for d := range s.running {
		items = append(items, Item{Root: d.root.number, Path: d.relative()})
	}
	return items
}
