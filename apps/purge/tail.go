package purge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/stats"
	"github.com/hydrawalk/hydra/walk"
)

// mostActs is how many directories are removed together.
const mostActs = 1000

// tail removes the directories that are empty.
func tail(ctx context.Context, t *hydra.Tail[Settings, Stats]) error {
	if !t.Settings.EmptyDirs {
		return nil
	}
	p := newPlanner("")
	defer p.close()
	roots := map[string]bool{} // never removed, also where one lies in another
	for _, root := range t.Roots {
		roots[strings.TrimRight(root, string(filepath.Separator))] = true
	}
	err := t.Lines(ctx, func(text json.RawMessage, a *hydra.Act) error {
		if text != nil {
			n := new(note)
			if err := json.Unmarshal(text, n); err != nil {
				return fmt.Errorf("a note of a directory: %w", err)
			}
			return p.add(n)
		}
		// Also of clients that died, whose work others did again: they found a
		// directory that was emptied, and did not know by whom.
		switch a.Result {
		case hydra.ActDone, hydra.ActGone, hydra.ActInDoubt:
			if a.Op != opRmdir {
				return p.add(&note{Path: parentOf([]byte(a.Path)), Matched: true})
			}
			return p.add(&note{Path: []byte(a.Path), Done: true})
		case hydra.ActFailed, hydra.ActChanged:
			if a.Op != opRmdir {
				return p.add(&note{Path: parentOf([]byte(a.Path)), Kept: true})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var acts []*hydra.Act
	old := map[*hydra.Act]bool{} // they go only because they were empty and old
	do := func() error {
		err := t.Do(ctx, acts, func(_ context.Context, base *walk.Base, path string, a *hydra.Act) {
			removeDir(base, path, a, old[a])
		})
		acts = nil
		clear(old)
		return err
	}
	would := int64(0)
	err = p.plan(func(n *note) (bool, error) {
		if roots[string(n.Path)] {
			return false, nil
		}
		if !t.Settings.Purge {
			would++
			_ = t.Record(wouldBe{opRmdir, stats.PathOf(string(n.Path)), n.Stat.Size, n.Stat.UID, n.Stat.Mtime.Time()}) // what is lost is told
			return true, ctx.Err()
		}
		a := &hydra.Act{Op: opRmdir, Root: string(n.Root), Path: string(n.Path), Stat: *n.Stat}
		acts = append(acts, a)
		if n.Old && !n.Matched && n.Dirs == 0 {
			old[a] = true
		}
		if len(acts) >= mostActs {
			return true, do()
		}
		return true, nil
	}, do)
	if err == nil && would > 0 {
		// Once: should this be done again, it is done from the beginning.
		t.Count(func(s *Stats) { s.DeletedDirs.Add(would) })
	}
	return err
}

// removeDir removes a directory, if it is the one that was looked at and is empty; an old
// one only if it is as old as it was, and belongs to whom it did.
func removeDir(base *walk.Base, path string, a *hydra.Act, old bool) {
	var st walk.Stat
	err := base.Stat(path, &st)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		a.Result = hydra.ActGone
		return
	case err == nil && (!st.Mode.IsDir() || st.Ino != a.Stat.Ino): // its device may have another number on who looked at it
		a.Result = hydra.ActChanged
		return
	case err == nil && old && (st.Mtime != a.Stat.Mtime || st.Ctime != a.Stat.Ctime || st.UID != a.Stat.UID || st.GID != a.Stat.GID):
		a.Result = hydra.ActChanged
		return
	case err == nil:
		err = base.RemoveDir(path)
	}
	switch {
	case err == nil:
		a.Result = hydra.ActDone
	case errors.Is(err, fs.ErrNotExist):
		a.Result = hydra.ActGone
	case isNotEmpty(err):
		a.Result = hydra.ActChanged
	default:
		a.Result, a.Error = hydra.ActFailed, why(err)
	}
}
