//go:build linux

package chaos

import (
	"strings"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/faultfs"
)

// TestAMountThatHangsIsLeftOutByItsOnlyClient has one client, and two mounts, one of
// which hangs in all calls from some on.
func TestAMountThatHangsIsLeftOutByItsOnlyClient(t *testing.T) {
	longAlone(t)
	for _, hangs := range []string{"home", "other"} {
		t.Run(hangs, func(t *testing.T) {
			s := newTwoSights(t)
			s.at = s.good.Root
			stuck := s.good
			if hangs == "other" {
				stuck = s.faulty
			}
			for _, m := range []*faultfs.Mounted{s.good, s.faulty} {
				m.On(faultfs.ReadDir, faultfs.Everywhere, faultfs.Rule{Delay: time.Millisecond})
			}
			want := s.alone(nil, s.at)
			s.server()
			client := s.client(4)
			hang := faultfs.NewHang()
			stuck.On(faultfs.OpenDir, faultfs.Everywhere, faultfs.Rule{After: 8, Hang: hang})
			out := s.submit(s.at, "HYDRA_CHAOS_STALL=2s", "HYDRA_CHAOS_PREFIXES="+s.good.Root+":"+s.faulty.Root)
			<-hang.Reached()
			for _, op := range []faultfs.Op{faultfs.Lookup, faultfs.GetAttr, faultfs.ReadDir} {
				stuck.On(op, faultfs.Everywhere, faultfs.Rule{Hang: hang})
			}
			got := s.wait(out)
			doc := got.document(t)
			t.Logf("wall %.1f s, prefixes %+v", doc.Wall, doc.Prefixes)
			same(t, got, want)
			for _, p := range doc.Prefixes {
				if is := p.Path == stuck.Root; p.Out != is || is != strings.Contains(p.Why, "did not return") || !is && p.Dirs == 0 {
					t.Errorf("%+v", p)
				}
			}
			if len(doc.Prefixes) != 2 {
				t.Errorf("prefixes: %+v", doc.Prefixes)
			}
			if said, _ := s.log.find("event: client ", "the mount "+stuck.Root+" is left out"); len(said) != 1 {
				t.Errorf("events: %q", said)
			}
			s.stop(client)
		})
	}
}
