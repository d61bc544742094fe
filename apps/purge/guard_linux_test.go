package purge

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hydrawalk/hydra"
	"github.com/hydrawalk/hydra/walk"
)

// handed is the handler of who was given only what lies below a root.
type handed struct{ *purger }

func (h handed) EnterDir(ctx context.Context, d *walk.Dir) error {
	if d.Depth() == 0 {
		return nil
	}
	return h.purger.EnterDir(ctx, d)
}

func (h handed) File(ctx context.Context, e *walk.Entry) error {
	if e.Depth() == 1 {
		return nil
	}
	return h.purger.File(ctx, e)
}

// among is the handler of who was given some entries of a root, which another entered.
type among struct{ *purger }

func (h among) EnterDir(context.Context, *walk.Dir) error { return nil }

// back is a handler in whose tree a link leads somewhere else again once it was opened.
type back struct {
	*purger
	link, to string
}

func (h back) EnterDir(ctx context.Context, d *walk.Dir) error {
	if err := errors.Join(os.Remove(h.link), os.Symlink(h.to, h.link)); err != nil {
		return err
	}
	return h.purger.EnterDir(ctx, d)
}

// TestAPathThatLeadsHomeWhenItIsWalkedIsNotPurged walks a link that was repointed after
// the question.
func TestAPathThatLeadsHomeWhenItIsWalkedIsNotPurged(t *testing.T) {
	top := filepath.Join(t.TempDir(), "top")
	home, tree, link := filepath.Join(top, "home"), filepath.Join(top, "tree"), filepath.Join(top, "link")
	for _, dir := range []string{home, tree} {
		if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", home)
	for _, tt := range []struct {
		what  string
		s     Settings
		who   func(*purger) walk.Handler
		to    string
		wants string // "": it is purged
	}{
		{"home", Settings{Purge: true}, nil, home, "give --force-root"},
		{"home, files given away", Settings{Purge: true}, func(p *purger) walk.Handler { return among{p} }, home, "give --force-root"},
		{"home, what is below given away", Settings{Purge: true}, func(p *purger) walk.Handler { return handed{p} }, home, "give --force-root"},
		{"home, but no more", Settings{Purge: true}, func(p *purger) walk.Handler { return back{p, link, tree} }, home, "is what"},
		{"another one, but no more", Settings{Purge: true}, func(p *purger) walk.Handler { return back{p, link, top} }, tree, "another directory than a moment ago"},
		{"home, meant", Settings{Purge: true, ForceRoot: true}, nil, home, ""},
		{"home, a dry run", Settings{}, nil, home, ""},
		{"a mount", Settings{Purge: true}, nil, "/proc", "the root of a mount"},
		{"the root", Settings{Purge: true}, nil, "/", "the root directory"},
		{"another one", Settings{Purge: true}, nil, tree, ""},
	} {
		var files []string
		if tt.to == home || tt.to == tree {
			files = []string{filepath.Join(tt.to, "f"), filepath.Join(tt.to, "sub", "f")}
		}
		for _, path := range files {
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		tt.s.Names.Set("f")
		if err := tt.s.prepare(); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(link)
		if err := os.Symlink(tree, link); err != nil {
			t.Fatal(err)
		}
		if _, err := confirm(tt.s, []string{link + "/"}); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(tt.to, link); err != nil {
			t.Fatal(err)
		}
		app := App()
		app.Settings = tt.s
		if tt.who != nil {
			app.NewHandler = func(_ context.Context, w *hydra.Worker[Settings, Stats]) (walk.Handler, error) {
				p, err := newPurger(w)
				return tt.who(p), err
			}
		}
		r, err := hydra.Run(t.Context(), app, []string{link + "/"}, &hydra.Options{MaxDepth: 3, Acts: t.TempDir(), Workers: 1})
		if (err == nil) != (tt.wants == "") || err != nil && !strings.Contains(err.Error(), tt.wants) {
			t.Errorf("%s: %v, want %q", tt.what, err, tt.wants)
		}
		for _, path := range files {
			if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) != (tt.wants == "" && tt.s.Purge) {
				t.Errorf("%s: %s: %v; %+v", tt.what, path, err, r.Stats.Matched)
			}
		}
	}
}

func TestTheHomeOfWhoCalledSudoIsGuarded(t *testing.T) {
	for _, id := range []string{"1", "2", "3", "65534"} {
		u, err := user.LookupId(id)
		if err != nil {
			continue
		}
		if st, err := os.Stat(u.HomeDir); err != nil || !st.IsDir() || u.HomeDir == "/" {
			continue
		}
		t.Setenv("SUDO_UID", "")
		if err := guard(u.HomeDir, homes()); err != nil {
			continue // it is something else besides
		}
		t.Setenv("SUDO_UID", id)
		if err := guard(u.HomeDir, homes()); err == nil {
			t.Errorf("%s, the home of %s, may be purged", u.HomeDir, id)
		}
		return
	}
	t.Skip("not here: another user with a home")
}
