package stats

// Prune takes out of part, which was merged into sum, what sum did not keep, and
// what nothing will keep that sum is merged into: of lists of the largest, what is
// not in sum's. Parts that are pruned one by one still merge to that sum.
func Prune[S any](part, sum *S) error {
	return pair(part, sum, func(_ string, a, b Value) error {
		if p, ok := a.(pruner); ok {
			p.pruneValue(b)
		}
		return nil
	})
}

// pruner is a Value of which Prune may leave out something. A type that embeds one
// is another type than pruneValue knows, and is left whole.
type pruner interface {
	Value
	pruneValue(sum Value)
}

func (t *TopN[T]) pruneValue(sum Value) {
	if s, ok := sum.(any).(*TopN[T]); ok {
		t.prune(s)
	}
}

// prune leaves out what comes behind the last of a list that is full.
func (t *TopN[T]) prune(sum *TopN[T]) {
	if sum.n <= 0 || len(sum.heap) < sum.n {
		return
	}
	last := sum.heap[0]
	kept := NewTopN[T](t.n)
	for _, i := range t.heap {
		if i.compare(last) <= 0 {
			kept.keep(i)
		}
	}
	*t = kept
}

// pruneValue leaves all keys: that there are so many says that others were left out.
func (t *TopBy[K, T]) pruneValue(sum Value) {
	s, ok := sum.(any).(*TopBy[K, T])
	if !ok {
		return
	}
	for k, slot := range t.lists.m {
		if in := s.lists.m[k]; in != nil {
			slot.value.prune(&in.value)
		} else {
			slot.value.ResetValue()
		}
	}
}
