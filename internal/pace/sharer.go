package pace

import (
	"maps"
	"slices"
)

// Grant tells a session what it may use.
type Grant struct {
	Rate   float64 // operations per second; 0 is none
	Number uint64  // of the grant, for the session to confirm it
}

// Report is what a session says of itself.
type Report struct {
	Used   float64 // operations per second that it made lately
	Held   bool    // its limit held it back
	InUse  Grant   // the grant that it keeps to: the one of the highest number that it was told
	Joined bool    // it has not been told any
}

// Sharer divides a rate among the sessions of a job, of which it hears by messages
// that may be late or get lost. What it told a session counts as used until the
// session confirms a later grant. One goroutine uses it.
//
// A Sharer that takes over from another knows only what sessions report: it must
// not divide before all have reported, and what the other told last has arrived or
// never will.
type Sharer struct {
	sessions map[string]*session
	number   uint64
}

type session struct {
	ask  Ask
	kept Grant   // as it confirmed
	told []Grant // later ones, by number
}

// mostTold is how many grants are remembered that a session did not confirm.
const mostTold = 16

// Report takes what a session said. One that was not heard of joins.
func (s *Sharer) Report(id string, r Report) {
	if s.sessions == nil {
		s.sessions = map[string]*session{}
	}
	one := s.sessions[id]
	if one == nil {
		one = &session{}
		s.sessions[id] = one
	}
	s.number = max(s.number, r.InUse.Number) // of a Sharer before this one
	one.ask.Used, one.ask.Held = r.Used, r.Held
	if r.Joined || r.InUse.Number < one.kept.Number {
		return // an old message, or it knows no limit yet and uses nothing
	}
	one.kept = r.InUse
	one.told = slices.DeleteFunc(one.told, func(g Grant) bool { return g.Number <= r.InUse.Number })
}

// Leave forgets a session. The caller knows that it asks the file system no more.
func (s *Sharer) Leave(id string) { delete(s.sessions, id) }

// Forget forgets all sessions: there is no rate to divide any more. Numbers of
// grants go on.
func (s *Sharer) Forget() { s.sessions = nil }

// Next is the number of a grant that somebody else makes, which holds after all that
// were made until now and the one that a session goes by.
func (s *Sharer) Next(inUse Grant) uint64 {
	s.number = max(s.number, inUse.Number) + 1
	return s.number
}

// Divide divides total among the sessions, and returns what to tell each.
func (s *Sharer) Divide(total float64) map[string]Grant {
	ids := slices.Sorted(maps.Keys(s.sessions))
	asks := make([]Ask, len(ids))
	for i, id := range ids {
		one := s.sessions[id]
		asks[i] = one.ask
		asks[i].Granted = one.granted()
	}
	out := make(map[string]Grant, len(ids))
	for i, rate := range Share(total, asks) {
		one := s.sessions[ids[i]]
		last := one.kept
		if n := len(one.told); n > 0 {
			last = one.told[n-1]
		}
		if last.Rate == rate && last.Number > 0 {
			out[ids[i]] = last // once more: it may not have got it
			continue
		}
		s.number++
		g := Grant{rate, s.number}
		one.tell(g)
		out[ids[i]] = g
	}
	return out
}

// granted is the most that a session may believe that it has.
func (o *session) granted() float64 {
	most := o.kept.Rate
	for _, g := range o.told {
		most = max(most, g.Rate)
	}
	return most
}

// tell notes a grant. Of many that are not confirmed the two oldest become one,
// which says more than either.
func (o *session) tell(g Grant) {
	o.told = append(o.told, g)
	if len(o.told) > mostTold {
		o.told[1].Rate = max(o.told[0].Rate, o.told[1].Rate)
		o.told = slices.Delete(o.told, 0, 1)
	}
}
