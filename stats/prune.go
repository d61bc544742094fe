package stats

// Prune forgets of part, which was merged into sum, what can not be in anything
// that sum is merged into: of lists of the largest what is not in sum's. What is
// left of the parts that were merged into a sum, merged again, is that sum: parts
// that are sent one by one need not tell more.
func Prune[S any](part, sum *S) error {
	return pair(part, sum, func(_ string, a, b Value) error {
		if p, ok := a.(pruner); ok {
			return p.pruneValue(b)
		}
		return nil
	})
}

// pruner is a Value of which Prune may leave out something.
type pruner interface {
	Value
	pruneValue(sum Value) error
}

func (t *TopN[T]) pruneValue(sum Value) error {
	s, err := as[TopN[T]](sum)
	if err != nil {
		return err
	}
	t.prune(s)
	return nil
}

// prune leaves out what comes behind the last of a list that is full.
func (t *TopN[T]) prune(sum *TopN[T]) {
	if len(sum.heap) < sum.n || sum.n == 0 {
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
func (t *TopBy[K, T]) pruneValue(sum Value) error {
	s, err := as[TopBy[K, T]](sum)
	if err != nil {
		return err
	}
	for k, slot := range t.lists.m {
		if in := s.lists.m[k]; in != nil {
			slot.value.prune(&in.value)
		} else {
			slot.value.ResetValue()
		}
	}
	return nil
}
