package walk

import (
	"context"
	"errors"
	"slices"
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

// PickCareful picks up to n of the newest careful items that wait, for RunCareful.
// It returns them, and those that were let go and are not done, as items that name
// them: whoever lets them go can note before what might harm it. They are part of
// what remains until they are done.
//
// An item of which alone says so is picked only if no other is picked or let go,
// and with no other one. alone may be nil.
func (s *Shared) PickCareful(n int, alone func(Item) bool) (picked, running []Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := range s.running {
		running = append(running, Item{Root: d.root.number, Path: d.relative()})
	}
	rest := len(s.aside)
	for len(picked) < n && rest > 0 {
		item := s.items(s.aside[rest-1 : rest])[0]
		only := alone != nil && alone(item)
		if only && len(picked)+len(s.running)+len(s.picked) > 0 {
			break
		}
		rest--
		picked = append(picked, item)
		if only {
			break
		}
	}
	s.picked = append(s.picked, s.aside[rest:]...)
	clear(s.aside[rest:])
	s.aside = s.aside[:rest]
	slices.Reverse(picked) // as they wait
	return picked, running
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

// Hungry says whether others wait for work: then workers with nothing queued split
// what is in hand, so that there is something to take.
func (s *Shared) Hungry(yes bool) {
	if yes {
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
