package server

import "github.com/hydrawalk/hydra/internal/ledger"

// noted tells what a session's record says of the mounts that it reads through, and
// was not told yet.
func (j *job) noted(r *ledger.Record) {
	if len(r.Notes) <= j.notes[r.Session] {
		return
	}
	for _, note := range r.Notes[j.notes[r.Session]:] {
		if j.spec.Local {
			j.event("warn", "%s", note)
			continue
		}
		j.aboutClient("warn", r.Client, "client %s on %s: %s", r.Client, r.Host, note)
	}
	if j.notes == nil {
		j.notes = map[ledger.SessionID]int{}
	}
	j.notes[r.Session] = len(r.Notes)
}
