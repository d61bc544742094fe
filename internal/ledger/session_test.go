package ledger

import "github.com/hydrawalk/hydra/walk"

func items(paths ...string) []walk.Item {
	var is []walk.Item
	for _, p := range paths {
		is = append(is, walk.Item{Path: []byte(p)})
	}
	return is
}
