package stats_test

import (
	"encoding/json"
	"testing"

	"github.com/hydrawalk/hydra/stats"
)

// coded has fields of its own and of a struct within.
type coded struct {
	Files  stats.Counter
	Deep   stats.Max
	Within struct {
		Names stats.Group[string]
	}
	Depths stats.PerDepth
}

func TestCodecGivesBackWhatItGot(t *testing.T) {
	c, err := stats.NewCodec(new(coded))
	if err != nil {
		t.Fatal(err)
	}
	nothing, err := c.Encode(new(coded))
	if err != nil || len(nothing) != 0 {
		t.Errorf("nothing takes %d bytes, %v", len(nothing), err)
	}
	s := new(coded)
	s.Files.Add(7)
	s.Within.Names.Add("a\"\n", 5)
	s.Depths.Add(3, 9)
	data, err := c.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	got := new(coded)
	if err := c.Decode(data, got); err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(s)
	b, _ := json.Marshal(got)
	if string(a) != string(b) {
		t.Errorf("got %s\nwant %s", b, a)
	}
	if err := c.Decode(data[:len(data)-1], new(coded)); err == nil {
		t.Error("what was cut short was read")
	}
	if err := c.Decode([]byte("\x03foo\x011"), new(coded)); err == nil {
		t.Error("a field that there is not was read")
	}
	if err := c.Decode([]byte("\x05Files\xff\xff\xff\xff\xff\xff\xff\xff\x7f1"), new(coded)); err == nil {
		t.Error("a length beyond the end was believed")
	}
}
