package hydra

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// Prefix is one of several mounts through which was walked.
type Prefix struct {
	Path string
	Dirs int64  // that were opened through it
	Out  bool   // it was left out when the walk ended
	Why  string // it was left out, or not used for some path; of one client, if there are several
}

type prefixJSON struct {
	stats.Path
	Dirs int64  `json:"dirs"`
	Out  bool   `json:"out"`
	Why  string `json:"why"`
}

// checkPrefixes tells what prefixes can not be meant, and makes them absolute.
func checkPrefixes(given, roots []string) ([]string, error) {
	if len(given) == 0 {
		return nil, nil
	}
	prefixes := make([]string, len(given))
	for i, p := range given {
		if p == "" || strings.IndexByte(p, 0) >= 0 {
			return nil, &UsageError{fmt.Errorf("the prefix %q is no path", p)}
		}
		var err error
		if prefixes[i], err = filepath.Abs(p); err != nil {
			return nil, err
		}
	}
	ms, err := walk.NewMounts(prefixes)
	if err != nil {
		return nil, &UsageError{err}
	}
	for _, root := range roots {
		if !ms.Has(root) {
			return nil, &UsageError{fmt.Errorf("%s does not lie in a prefix: there are %s", root, strings.Join(ms.Paths(), ", "))}
		}
	}
	return prefixes, nil
}

// addPrefixes adds what a session opened through each prefix. Sessions of one client
// tell of the same mounts, so the last one says how they do.
func (o *Outcome) addPrefixes(r *ledger.Record) {
	for _, m := range r.Mounts {
		i := slices.IndexFunc(o.Prefixes, func(p Prefix) bool { return p.Path == m.Path })
		if i < 0 {
			i = len(o.Prefixes)
			o.Prefixes = append(o.Prefixes, Prefix{Path: m.Path})
		}
		p := &o.Prefixes[i]
		p.Dirs += m.Dirs
		p.Out = p.Out || m.Out
		if p.Why == "" || m.Out {
			p.Why = m.Why
		}
	}
}

// knownMounts are the mounts that a client has used: what it has learnt of them
// holds for all its sessions.
type knownMounts struct {
	mu  sync.Mutex
	all map[string]*walk.Mounts // by their paths
}

// of are the mounts at some paths, which have to lie within; nil if there are none.
func (k *knownMounts) of(paths [][]byte, within *walk.Within) (*walk.Mounts, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	var prefixes []string
	for _, p := range paths {
		prefixes = append(prefixes, string(p))
	}
	key := strings.Join(prefixes, "\x00")
	k.mu.Lock()
	defer k.mu.Unlock()
	if ms := k.all[key]; ms != nil {
		return ms, nil
	}
	ms, err := walk.NewMounts(prefixes)
	if err == nil {
		err = ms.Confine(within)
	}
	if err != nil {
		return nil, fmt.Errorf("the prefixes of the job: %w", err)
	}
	if k.all == nil {
		k.all = map[string]*walk.Mounts{}
	}
	k.all[key] = ms
	return ms, nil
}

// close ends what looks after the mounts.
func (k *knownMounts) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, ms := range k.all {
		ms.Close()
	}
}
