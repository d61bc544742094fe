// Package pace decides how fast a job may ask the file system.
//
// A job has one rate, in operations per second, for all of its sessions. [Sharer]
// divides it among them, and [Governor] finds the rate at which the file system
// still answers in a given time. Neither has a clock or a goroutine: both are told
// what was measured, and say what to do.
package pace

import (
	"cmp"
	"slices"
)

const (
	// reserve is the part of a rate that is kept back: what a session that joins
	// begins with, while the others have not confirmed yet that they gave something
	// up.
	reserve = 1.0 / 64
	// headroom is how much more than it uses a session gets that is not held back.
	// If it wants more than that, it is held back, and has its full share at the
	// next division: there is no need to keep more for it.
	headroom = 1.0 / 64
	// little is the part of an equal share that a session gets at least. It is small
	// because many may be idle; with it one is held back as soon as it begins, and
	// has its full share then.
	little = 1.0 / 64
	// All three together leave less than 5 % unused.
)

// Ask is what one session wants of a rate.
type Ask struct {
	Used    float64 // operations per second that it made lately
	Held    bool    // its limit held it back
	Granted float64 // operations per second that it may make at present: as it confirmed, or was told and may know
}

// Share divides total, in operations per second, among sessions: a session that
// is not held back gets what it uses and a little headroom, and what remains goes
// to the others in equal parts, as it does to all if none is held back. None gets
// more than such a part while another is held back at less.
//
// Nobody gets more before others have given it up: what all may use, by what they
// are granted now or by the result, is at most total, unless they are granted more
// already. So it takes two rounds or three until a change of what they want has its
// full effect.
//
// What a session gets may be 0 for a round, if nothing at all is free.
func Share(total float64, asks []Ask) []float64 {
	out := ideal(total*(1-reserve), asks)
	free := total
	for _, a := range asks {
		free -= a.Granted
	}
	free = max(free, 0)
	// First those who could not begin without it.
	begin := total * (1 - reserve) * little / float64(max(len(asks), 1))
	floor := make([]float64, len(asks)) // what each has before the rest of free is divided
	for i, a := range asks {
		floor[i] = a.Granted
		if less := min(out[i], begin) - a.Granted; less > 0 {
			less = min(less, free)
			floor[i] += less
			free -= less
		}
	}
	var wanted float64
	for i := range out {
		wanted += max(out[i]-floor[i], 0)
	}
	part := 1.0
	if wanted > free {
		part = free / wanted
	}
	for i := range out {
		if more := out[i] - floor[i]; more > 0 {
			out[i] = floor[i] + more*part
		}
	}
	return out
}

// ideal is how total should be divided, if all could be told at once: the level to
// which all are filled that want as much.
func ideal(total float64, asks []Ask) []float64 {
	n := len(asks)
	out := make([]float64, n)
	if n == 0 || total <= 0 {
		return out
	}
	least := total * little / float64(n)
	var order, held []int // by what they want
	for i, a := range asks {
		if a.Held {
			held = append(held, i)
			continue
		}
		out[i] = max(a.Used*(1+headroom), least)
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(out[a], out[b]) })
	order = append(order, held...)
	left := total
	for k, i := range order {
		level := left / float64(n-k)
		if asks[i].Held || out[i] > level {
			out[i] = level
		}
		left -= out[i]
	}
	if len(held) == 0 {
		// Nobody wants it now; whoever will, need not ask first.
		for i := range out {
			out[i] += left / float64(n)
		}
	}
	return out
}
