package stats

import (
	"encoding/json"
	"errors"
)

// sized is an element of a [TopN] in JSON.
type sized struct {
	Path
	Size int64 `json:"size"`
}

var errTop = errors.New("stats: more elements than the list keeps")

// MarshalJSON implements [json.Marshaler].
func (t TopN) MarshalJSON() ([]byte, error) {
	out := []sized{}
	for _, f := range t.List() {
		out = append(out, sized{PathOf(f.Path), f.Size})
	}
	return json.Marshal(struct {
		N    int     `json:"n"`
		List []sized `json:"list"`
	}{t.n, out})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *TopN) UnmarshalJSON(data []byte) error {
	var in struct {
		N    int     `json:"n"`
		List []sized `json:"list"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	if len(in.List) > in.N {
		return errTop
	}
	*t = TopN{n: in.N}
	for _, f := range in.List {
		t.Add(f.Size, f.Path.String)
	}
	return nil
}
