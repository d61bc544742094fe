package walk

import "sync"

// task is a piece of work.
//
//	dir.reading == nil   open the directory and read it
//	chunk == nil         the directory's cursor: go on reading it
//	chunk                handle these entries of it; they passed the filter
//	chosen               File returned ToBatch for all of chunk
//
// In a shared walk there is no cursor, and x says what a task is that is more
// than a directory to open.
type task struct {
	dir    *Dir
	chunk  []byte
	x      *piece
	chosen bool // others are not told: they call File again
}

// deque holds the tasks of one worker.
//
//	head                    tail
//	oldest ───────────────► newest
//	thieves take half       its worker pushes and pops
//
// In a shared walk all tasks in it are of the epoch of its worker. A thief that
// is ahead of it leaves what it took in passed, for the worker's cut; one that is
// behind has to make its own cut first.
type deque struct {
	mu     sync.Mutex
	tasks  []task
	head   int
	epoch  uint64
	passed []task
}

// push adds tasks; the last one is popped first.
func (q *deque) push(ts ...task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.head > 0 && len(q.tasks)+len(ts) > cap(q.tasks) {
		n := copy(q.tasks, q.tasks[q.head:])
		clear(q.tasks[n:])
		q.tasks, q.head = q.tasks[:n], 0
	}
	q.tasks = append(q.tasks, ts...)
}

// pop takes the newest task.
func (q *deque) pop() (task, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	last := len(q.tasks) - 1
	if last < q.head {
		return task{}, false
	}
	t := q.tasks[last]
	q.tasks[last] = task{}
	q.tasks = q.tasks[:last]
	return t, true
}

// takeBack takes the newest task if it is the cursor of d.
func (q *deque) takeBack(d *Dir) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	last := len(q.tasks) - 1
	if last < q.head || q.tasks[last].dir != d || q.tasks[last].chunk != nil {
		return false
	}
	q.tasks[last] = task{}
	q.tasks = q.tasks[:last]
	return true
}

// steal appends the oldest half of the tasks, rounded up, to into. behind: the
// thief's epoch is over here, and it got nothing.
func (q *deque) steal(into []task, epoch uint64) (stolen []task, behind bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := (len(q.tasks) - q.head + 1) / 2
	if n == 0 {
		return into, false
	}
	if q.epoch > epoch {
		return into, true
	}
	return q.takeOldest(into, n, epoch), false
}

// takeOldest appends the oldest n tasks to into, for somebody in epoch. The
// caller holds mu.
func (q *deque) takeOldest(into []task, n int, epoch uint64) []task {
	taken := q.tasks[q.head : q.head+n]
	into = append(into, taken...)
	if q.epoch < epoch {
		q.passed = append(q.passed, taken...)
	}
	clear(taken)
	if q.head += n; q.head == len(q.tasks) {
		q.tasks, q.head = q.tasks[:0], 0
	}
	return into
}

// takeOthers appends the oldest n tasks that are not careful to into: careful ones
// were let go, and go on here. The caller holds mu, and no cut is open.
func (q *deque) takeOthers(into []task, n int) []task {
	var careful []task
	at := q.head
	for ; at < len(q.tasks) && n > 0; at++ {
		if t := q.tasks[at]; t.dir.careful {
			careful = append(careful, t)
		} else {
			into = append(into, t)
			n--
		}
	}
	clear(q.tasks[q.head:at])
	q.head = at - len(careful)
	copy(q.tasks[q.head:], careful)
	if q.head == len(q.tasks) {
		q.tasks, q.head = q.tasks[:0], 0
	}
	return into
}

func (q *deque) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.tasks) - q.head
}
