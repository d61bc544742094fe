package walk

// notify tells whoever feeds the walk that something happened.
func (s *Shared) notify() {
	if s.o.Notify != nil {
		s.o.Notify()
	}
}

// Load says how much there is to do. It is cheap.
func (s *Shared) Load() Load {
	p := s.p
	l := Load{
		Pending: p.pending.Load(),
		Idle:    int(p.attention.Load() & idleMask),
		Workers: int(p.limit.Load()),
		Paused:  p.attention.Load()&pausing != 0,
		Stopped: p.stopping(),
	}
	l.Queued, l.MinDepth = s.feed.look()
	for i := range p.started.Load() {
		n, depth := p.workers[i].Load().q.look()
		if n > 0 && (l.Queued == 0 || depth < l.MinDepth) {
			l.MinDepth = depth
		}
		l.Queued += n
	}
	s.mu.Lock()
	l.CarefulWaiting, l.CarefulRunning = len(s.aside), len(s.running)
	s.mu.Unlock()
	p.mu.Lock()
	l.Err = p.err
	p.mu.Unlock()
	return l
}

// look tells how many tasks there are, and the depth of the oldest.
func (q *deque) look() (n, depth int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n = len(q.tasks) - q.head; n > 0 {
		depth = max(int(q.tasks[q.head].dir.depth), 0)
	}
	return n, depth
}

// lookLow notifies when fewer tasks wait than should. It is cheap while a worker
// has enough of its own.
func (s *Shared) lookLow(w *worker) {
	low := s.o.Low
	if low <= 0 {
		low = 2 * int(s.p.limit.Load())
	}
	n := w.q.len()
	for i := int32(0); n < low && i < s.p.started.Load(); i++ {
		if o := s.p.workers[i].Load(); o != w {
			n += o.q.len()
		}
	}
	if n < low {
		n += s.feed.len()
	}
	if isLow := n < low; s.isLow.Swap(isLow) != isLow && isLow {
		s.notify()
	}
}

// dry is called by a worker that found nothing.
func (s *Shared) dry(w *worker) {
	s.lookLow(w)
	if s.p.busy() == 0 {
		s.notify()
	}
}

// busy is the number of workers that have something in hand.
func (p *pool) busy() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.started.Load()) - len(p.idle) - len(p.benched)
}
