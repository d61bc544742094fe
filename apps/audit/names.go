package audit

import (
	"context"
	"errors"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/owner"
	"github.com/hydrawalk/hydra/stats"
)

// lookupTime bounds how long the names of owners are waited for: a directory
// service may hang.
const lookupTime = time.Minute

// Names are the names of owners. They are looked up at the end; nil if they were
// not.
type Names[K stats.Key] map[K]string

// MergeValue implements [stats.Value]. Of two names of one owner, that which
// sorts first stays.
func (n *Names[K]) MergeValue(from stats.Value) error {
	o, ok := from.(*Names[K])
	if !ok {
		return errNotNames
	}
	if *o == nil {
		return nil
	}
	if *n == nil {
		*n = Names[K]{}
	}
	for id, name := range *o {
		if have, twice := (*n)[id]; !twice || name < have {
			(*n)[id] = name
		}
	}
	return nil
}

var errNotNames = errors.New("something else does not merge with names")

// lookUp finds the names of all owners in r.
func lookUp(ctx context.Context, r *hydra.Result[Stats]) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	s := r.Stats
	var err error
	if s.UIDNames, err = owner.Users(ctx, keys(&s.ByUID)); err != nil {
		r.Log.Warn("names of owners were not all found", "err", err)
	}
	if s.GIDNames, err = owner.Groups(ctx, keys(&s.ByGID)); err != nil {
		r.Log.Warn("names of groups were not all found", "err", err)
	}
	if s.SIDNames, err = owner.SIDs(ctx, keys(&s.BySID)); err != nil {
		r.Log.Warn("names of security identifiers were not all found", "err", err)
	}
	s.TimeOwnerLookup.Add(time.Since(began))
}

func keys[K stats.Key](g *stats.GroupN[K]) []K {
	var list []K
	for k := range g.All {
		list = append(list, k)
	}
	return list
}
