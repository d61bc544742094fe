package stats_test

import (
	"encoding/json"
	"fmt"

	"github.com/hydrawalk/hydra/stats"
)

func ExampleMerge() {
	type Stats struct {
		Files stats.Counter       `json:"files"`
		Owner stats.Group[uint32] `json:"owner"`
	}
	var worker1, worker2, all Stats
	worker1.Files.Inc()
	worker1.Owner.Add(0, 4096)
	worker2.Files.Inc()
	worker2.Owner.Add(1000, 12)
	for _, w := range []*Stats{&worker1, &worker2} {
		if err := stats.Merge(&all, w); err != nil {
			fmt.Println(err)
		}
	}
	show(all)
	// Output: {"files":2,"owner":{"0":{"count":1,"bytes":4096},"1000":{"count":1,"bytes":12}}}
}

func ExampleReset() {
	type Stats struct {
		Files stats.Counter   `json:"files"`
		Sizes stats.Histogram `json:"sizes"`
	}
	s := &Stats{Sizes: stats.NewHistogram(1024)}
	s.Files.Inc()
	s.Sizes.Add(7, 7)

	counted := *s // stays whole
	if err := stats.Reset(s); err != nil {
		fmt.Println(err)
	}
	show(counted)
	show(s)
	// Output:
	// {"files":1,"sizes":[{"le":1024,"count":1,"bytes":7},{"le":null,"count":0,"bytes":0}]}
	// {"files":0,"sizes":[{"le":1024,"count":0,"bytes":0},{"le":null,"count":0,"bytes":0}]}
}

func ExampleHistogram() {
	h := stats.NewHistogram(0, 1024)
	for _, size := range []int64{0, 1, 1024, 1025} {
		h.Add(size, size)
	}
	show(h)
	// Output: [{"le":0,"count":1,"bytes":0},{"le":1024,"count":2,"bytes":1025},{"le":null,"count":1,"bytes":1025}]
}

func ExampleTopN_Add() {
	dir := []byte("/data/")
	top := stats.NewTopN[stats.Size](2)
	for _, f := range []struct {
		name string
		size int64
	}{{"small", 1}, {"large", 100}, {"caf\xe9", 50}} {
		top.Add(stats.Size{Size: f.size}, func(b []byte) []byte { return append(append(b, dir...), f.name...) })
	}
	show(top)
	// Output: {"n":2,"list":[{"path":"/data/large","size":100},{"path":"/data/caf�","path_b64":"L2RhdGEvY2Fm6Q==","size":50}]}
}

func show(v any) {
	out, err := json.Marshal(v)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(string(out))
}
