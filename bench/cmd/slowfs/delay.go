package main

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// delay lets any number of requests wait for the same time, each from its own
// start. One thread sleeps for all of them, to the microsecond; the timers of
// the runtime would round half a millisecond up to more than one.
//
//	request ──► waiting, in order of their ends ──► sleeper ──► woken
type delay struct {
	d       time.Duration
	waiting chan waiter
}

type waiter struct {
	until int64 // nanoseconds, monotonic
	woken chan struct{}
}

func newDelay(d time.Duration) *delay {
	s := &delay{d: d, waiting: make(chan waiter, 4096)}
	if d > 0 {
		// It ends with the process: there is nothing to clean up.
		go s.sleep()
	}
	return s
}

func (s *delay) wait() {
	if s.d <= 0 {
		return
	}
	w := waiter{now() + int64(s.d), make(chan struct{})}
	s.waiting <- w
	<-w.woken
}

func (s *delay) sleep() {
	runtime.LockOSThread()
	// The kernel may be 50 µs late otherwise. A failure only costs precision.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	for w := range s.waiting {
		for now() < w.until {
			t := unix.NsecToTimespec(w.until)
			_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &t, nil)
		}
		close(w.woken)
	}
}

func now() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return t.Nano()
}
