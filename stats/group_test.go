package stats_test

import (
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/hydrawalk/hydra/stats"
)

func TestGroupsAreSortedByKey(t *testing.T) {
	numbers := stats.Group[int8]{}
	for _, k := range []int8{10, 9, -1, -10, 0, 127, -128} {
		numbers.Add(k, 0)
	}
	texts := stats.Group[string]{}
	for _, k := range []string{"9", "10", "ä", "", "\xff", `"`} {
		texts.Add(k, 0)
	}
	for _, tt := range []struct {
		group any
		want  []string
	}{
		{numbers, []string{`-128`, `-10`, `-1`, `0`, `9`, `10`, `127`}},
		{texts, []string{``, `\"\\\"\"`, `10`, `9`, `ä`, `\"\\xff\"`}},
	} {
		want := "{"
		for i, key := range tt.want {
			if i > 0 {
				want += ","
			}
			want += `"` + key + `":{"count":1,"bytes":0}`
		}
		want += "}"
		if out, err := json.Marshal(tt.group); err != nil || string(out) != want {
			t.Errorf("%s, %v, want %s", out, err, want)
		}
	}
}

func TestAKeyOfAnyBytesComesBackFromJSON(t *testing.T) {
	anyBytes := rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })
	key := rapid.OneOf(anyBytes, rapid.String(), rapid.SampledFrom(oddKeys))
	rapid.Check(t, func(t *rapid.T) {
		g := stats.Group[string]{}
		for i, k := range rapid.SliceOf(key).Draw(t, "keys") {
			g.Add(k, int64(i))
		}
		keeps(t, g)
	})
}

func TestKeysOfEachKindComeBackFromJSON(t *testing.T) {
	type uid uint32
	type sid string
	keeps(t, stats.Group[uid]{0: {Count: 1}, math.MaxUint32: {Bytes: 2}})
	keeps(t, stats.Group[sid]{"S-1-5-18": {Count: 1}, "\xff": {Count: 2}})
	keeps(t, stats.Group[int64]{math.MinInt64: {Count: 1}, math.MaxInt64: {Count: 2}})
	keeps(t, stats.Group[uint64]{math.MaxUint64: {Count: math.MaxInt64, Bytes: math.MinInt64}})
}

func keeps[K stats.Key](t interface{ Errorf(string, ...any) }, g stats.Group[K]) {
	out, err := json.Marshal(g)
	if err != nil {
		t.Errorf("%v: %v", g, err)
		return
	}
	var back stats.Group[K]
	if err := json.Unmarshal(out, &back); err != nil || !back.Equal(g) {
		t.Errorf("%s, from %d groups, became %d: %v", out, len(g), len(back), err)
	}
}

func TestKeysThatAreBrokenDoNotDecode(t *testing.T) {
	for in, into := range map[string]json.Unmarshaler{
		`{"256":{}}`:       &stats.Group[uint8]{},
		`{"-1":{}}`:        &stats.Group[uint8]{},
		`{"+1":{}}`:        &stats.Group[uint8]{},
		`{"01":{}}`:        &stats.Group[int]{},
		`{"":{}}`:          &stats.Group[int]{},
		`{"\"":{}}`:        &stats.Group[string]{},
		`{"\"a\"":{}}`:     &stats.Group[string]{}, // a needs no quotes
		`{"\"\\xFF\"":{}}`: &stats.Group[string]{}, // it is \xff
		`{"a":[]}`:         &stats.Group[string]{},
		`[]`:               &stats.Group[string]{},
	} {
		if err := json.Unmarshal([]byte(in), into); err == nil {
			t.Errorf("%s became %v", in, into)
		}
	}
}
