package audit

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/internal/owner"
	"github.com/hydrawalk/hydra/stats"
)

// lookupTime bounds how long the names of owners, and those of groups, are waited
// for: a directory service may hang.
const lookupTime = 30 * time.Second

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

// lookUp finds the names of all owners in r. Names that could not be asked for
// are said in r, for they are not the same as none.
func lookUp(ctx context.Context, r *hydra.Result[Stats]) {
	began := time.Now()
	s := r.Stats
	var wg sync.WaitGroup
	wg.Go(func() { s.GIDNames = named(ctx, r, "groups", &s.ByGID, &s.GroupNameErrors, owner.Groups) })
	s.UIDNames = named(ctx, r, "owners", &s.ByUID, &s.NameErrors, owner.Users)
	wg.Wait()
	s.SIDNames = named(ctx, r, "security identifiers", &s.BySID, &s.NameErrors, owner.SIDs)
	s.TimeOwnerLookup.Add(time.Since(began))
}

func named[K stats.Key](
	ctx context.Context, r *hydra.Result[Stats], what string, g *stats.GroupN[K], failed *stats.Counter,
	find func(context.Context, []K) (map[K]string, error),
) Names[K] {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	names, err := find(ctx, keys(g))
	if err != nil {
		failed.Inc()
		r.Log.Warn("the names of "+what+" were not all found", "err", err)
	}
	out := Names[K]{}
	for id, name := range names {
		out[id] = strings.ToValidUTF8(name, "\uFFFD")
	}
	return out
}

func keys[K stats.Key](g *stats.GroupN[K]) []K {
	var list []K
	for k := range g.All {
		list = append(list, k)
	}
	return list
}
