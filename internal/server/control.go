package server

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"
	"time"

	"github.com/hydrawalk/hydra/internal/joblog"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
)

// command carries out what a command asks for. A command that got no answer is
// given again: what it asked for already is no error then.
func (j *job) command(a *asked) error {
	switch a.Kind {
	case askHook:
		j.hooked(a.hook)
	case wire.AskCancel:
		return j.cancelled()
	case wire.AskPause:
		return j.pause(true)
	case wire.AskResume:
		if j.ledger.Phase == ledger.Ended || j.ledger.Phase == ledger.Stopping {
			return j.resume()
		}
		return j.pause(false)
	case wire.AskWorkers:
		return j.setWorkers(a.Client, a.Workers)
	case wire.AskSet:
		return j.set(a.Set)
	}
	return nil
}

// cancelled ends the job before its end.
func (j *job) cancelled() error {
	l := j.ledger
	switch l.Phase {
	case ledger.Ended:
		if l.Verdict.State == "cancelled" {
			return nil
		}
		return fmt.Errorf("job %s has ended already: %s", j.spec.Job, l.Verdict.State)
	case ledger.Waiting, ledger.Running, ledger.Finishing:
		j.stop("cancelled", "cancelled by a user")
	}
	return nil
}

// pause lets all workers rest, or go on.
func (j *job) pause(on bool) error {
	l := j.ledger
	if l.Control.Paused == on {
		return nil
	}
	if err := j.changeable(); err != nil {
		return err
	}
	if on && l.Phase == ledger.Finishing {
		return fmt.Errorf("the walk of job %s has ended, and its application's %s can not be paused", j.spec.Job, j.step())
	}
	was := l.Shown()
	l.Control.Paused = on
	j.control()
	j.check(was)
	if on {
		j.event("info", "job paused")
	} else {
		j.event("info", "job goes on after it was paused")
	}
	return nil
}

// changeable says why the job can not be changed, nil if it can.
func (j *job) changeable() error {
	switch l := j.ledger; l.Phase {
	case ledger.Ended:
		return fmt.Errorf("job %s has ended already: %s", j.spec.Job, l.Verdict.State)
	case ledger.Stopping:
		return fmt.Errorf("job %s is being ended: %s", j.spec.Job, l.Verdict.Reason)
	}
	return nil
}

// control says that what clients go by has changed.
func (j *job) control() {
	j.ledger.Control.Rev++
	j.ledger.Touch()
	j.follow()
}

// follow does what users want of the server itself.
func (j *job) follow() {
	if err := j.SetLevels(j.ledger.Control.Levels); err != nil {
		j.log.Warn("levels of the log can not be set", "err", err)
	}
}

// note notes that a setting was changed.
func (j *job) note(key, value string) {
	j.ledger.Control.Note(time.Now(), key, value)
	j.publish("info", wire.Event{Kind: wire.EventSetting, Text: key + " is " + value + " from now on"})
}

// setWorkers sets how many workers a client may have, or all.
func (j *job) setWorkers(id ledger.ClientID, n int) error {
	if n < ledger.Adapt || n > walk.MostWorkers {
		return fmt.Errorf("%d is no number of workers", n)
	}
	after := j.ledger.Control
	after.SetWorkers(id, n)
	if maps.Equal(j.ledger.Control.Workers, after.Workers) {
		return nil
	}
	if err := j.changeable(); err != nil {
		return err
	}
	j.ledger.Control = after
	j.control()
	key := "workers"
	if id != "" {
		key += " of client " + string(id)
	}
	value := strconv.Itoa(n)
	switch n {
	case ledger.Adapt:
		value = "auto"
	case 0:
		value = "default"
	}
	j.note(key, value)
	return nil
}

// set changes settings.
func (j *job) set(s *wire.Set) error {
	if s == nil {
		return errors.New("no setting was given")
	}
	if err := valid(s); err != nil {
		return err
	}
	after := j.ledger.Control
	c, changed := &after, false
	levels := c.Levels
	if len(s.Levels) > 0 { // first what can be wrong: all is set or nothing
		levels = maps.Clone(c.Levels)
		if levels == nil {
			levels = map[string]string{}
		}
		for name, level := range s.Levels {
			if level == "" {
				delete(levels, name)
			} else {
				levels[name] = level
			}
		}
		if _, err := joblog.ParseLevels(levels, j.spec.App); err != nil {
			return err
		}
	}
	if s.Settings != nil {
		now := j.spec.With(c).Settings
		switch {
		case bytes.Equal(now, s.Settings):
		case s.Base != c.SettingsRev:
			return fmt.Errorf("somebody else has changed the settings of job %s meanwhile: look, and try again", j.spec.Job)
		default:
			c.Settings = s.Settings
			c.SettingsRev++
			changed = true
		}
	}
	if !maps.Equal(c.Levels, levels) {
		c.Levels, changed = levels, true
	}
	if s.Priority != 0 && s.Priority != j.spec.With(c).Priority {
		c.Priority, changed = s.Priority, true
	}
	if n := s.MaxErrors; n != nil && *n != j.spec.With(c).MaxErrors {
		c.MaxErrors, changed = n, true
	}
	if n := s.LimitOps; n != nil && *n != j.spec.With(c).LimitOps {
		c.LimitOps, changed = n, true
	}
	if d := s.Latency; d != nil && *d != j.spec.With(c).Latency {
		c.Latency, changed = d, true
	}
	if !changed {
		return nil // a job may have ended meanwhile
	}
	if err := j.changeable(); err != nil {
		return err
	}
	j.ledger.Control = after
	j.records = true // there may be as many errors already as end the job now
	j.control()
	for _, kv := range s.Said {
		j.note(kv[0], kv[1])
	}
	return nil
}

// mostSaid is how many changes are noted of one command.
const mostSaid = 100

// valid tells what can not be meant: commands check it too, but anybody may ask.
func valid(s *wire.Set) error {
	switch {
	case s.Priority < 0:
		return fmt.Errorf("%d is no priority", s.Priority)
	case s.MaxErrors != nil && *s.MaxErrors < 0:
		return fmt.Errorf("%d is no number of errors", *s.MaxErrors)
	case s.LimitOps != nil && !(*s.LimitOps >= 0 && *s.LimitOps <= math.MaxFloat64):
		return fmt.Errorf("%g is no number of calls per second", *s.LimitOps)
	case s.Latency != nil && *s.Latency < 0:
		return fmt.Errorf("%v is no time", *s.Latency)
	case len(s.Said) > mostSaid:
		return fmt.Errorf("%d settings are too many at once", len(s.Said))
	}
	return nil
}

// resume lets a job go on that has ended.
func (j *job) resume() error {
	l := j.ledger
	switch {
	case l.Phase != ledger.Ended:
		return fmt.Errorf("job %s is being ended: %s", j.spec.Job, l.Verdict.Reason)
	case j.allDone():
		return fmt.Errorf("job %s has nothing left to do: %s", j.spec.Job, l.Verdict.State)
	case j.lost:
		return fmt.Errorf("job %s can not be resumed: %s", j.spec.Job, l.Verdict.Reason)
	}
	// Sessions that began when it had ended already are not known to live, or not.
	for r := range l.All() {
		if r.End == ledger.Live && j.peers[r.Session] == nil {
			j.peers[r.Session] = &peer{client: r.Client}
		}
	}
	// What was wrong with clients and mounts may have been mended.
	clear(l.Refused)
	clear(j.seen)
	clear(j.asked)
	j.began = time.Time{}
	if l.Unbegun() {
		l.Sights = nil
	}
	if l.Control.Paused {
		l.Control.Paused = false
		j.control()
	}
	j.enter(ledger.Waiting)
	l.Verdict, l.Finished = ledger.Verdict{}, time.Time{}
	l.Resumed++
	for id, m := range l.Members {
		if !m.Ended { // it began when nobody knew of this
			m.Run = l.Resumed
			l.Members[id] = m
		}
	}
	l.Forgiven = 0
	for r := range l.All() {
		l.Forgiven += r.Totals.Errors
	}
	l.Touch()
	j.event("info", "job resumed")
	return nil
}
