package stats

import "strconv"

// marshalInts encodes a list; one without elements is [], never null.
func marshalInts(list []int64) []byte {
	out := []byte{'['}
	for i, n := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, n, 10)
	}
	return append(out, ']')
}
