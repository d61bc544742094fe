// Package stats holds statistics that are counted apart and merged.
//
// Statistics are a struct whose exported fields are values of this package, or
// structs of such. Each worker counts into one of its own, without locks; at the
// end [Merge] adds them up. Its order does not matter, and neither does who
// counted what:
//
//	type Stats struct {
//		Bytes stats.Counter   `json:"bytes"`
//		Sizes stats.Histogram `json:"sizes"`
//	}
//
// Merged statistics encode to the same JSON, byte for byte, whatever the order
// was, and decode from it again: so do documents of several runs merge.
//
// Numbers are int64, and sums stop at its limits instead of wrapping around: a
// sum that reads 2^63-1 is at least that. Two sparse files are enough to reach
// it. As long as only numbers that are not negative are added, the order does
// not matter at the limit either.
package stats

import (
	"errors"
	"fmt"
	"reflect"
)

// Value is what a field of statistics has to be. The type that implements it is
// a pointer to the field's.
//
// For all a, b and c of one type:
//
//   - merging is associative and commutative: a field that took in b and c holds
//     the same as one that took in c and b, or b with c merged into it;
//   - the zero value is the identity: merging it changes nothing, and what is
//     merged into it is what it then holds;
//   - MergeValue leaves its argument as it is, and keeps no memory of it;
//   - encoding to JSON and back gives an equal value.
//
// Two values are equal if the method Equal of their type says so, and by
// [reflect.DeepEqual] where there is none. Package statstest checks all this.
type Value interface {
	// MergeValue adds what from holds, which is of the receiver's type. An
	// error says why the two do not fit together; the receiver is unchanged.
	MergeValue(from Value) error
}

// Resetter is a [Value] that [Reset] does not set to zero, because it also holds
// how to count, like the edges of a [Histogram].
type Resetter interface {
	Value

	// ResetValue forgets what was counted: merging the receiver then changes no
	// value that counts in the same way. It takes new memory, so that a copy made
	// before stays whole.
	ResetValue()
}

// Merge adds the statistics src to dst, which is another struct, field by field.
// An error names the field that is no [Value], or that does not fit; then dst is
// not to be used.
func Merge[S any](dst, src *S) error {
	if dst == src {
		return errors.New("stats: statistics can not be merged into themselves")
	}
	return pair(dst, src, func(_ string, a, b Value) error { return a.MergeValue(b) })
}

// Reset forgets what was counted, but not how to count: a [Histogram] keeps its
// edges, and a [TopN] its n. A copy of *s that was made before keeps what it
// had, and may be used elsewhere. An error names the field that is no [Value].
func Reset[S any](s *S) error {
	v := reflect.ValueOf(s).Elem()
	return each("", v, v, func(_ string, field, _ Value) error {
		if r, ok := field.(Resetter); ok {
			r.ResetValue()
		} else {
			reflect.ValueOf(field).Elem().SetZero()
		}
		return nil
	})
}

// pair calls do with each field of two structs, and its name.
func pair[S any](a, b *S, do func(name string, a, b Value) error) error {
	return each("", reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem(), do)
}

// each calls do with the name of each field of two structs of one type, and the
// fields, in their order. The path is that of the structs: empty or with a dot at
// its end.
func each(path string, a, b reflect.Value, do func(name string, a, b Value) error) error {
	t := a.Type()
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("stats: %s is not a struct", t)
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name := path + f.Name
		if !f.IsExported() {
			return fmt.Errorf("stats: field %s is not exported", name)
		}
		var err error
		if v, ok := a.Field(i).Addr().Interface().(Value); ok {
			if err = do(name, v, b.Field(i).Addr().Interface().(Value)); err != nil {
				err = fmt.Errorf("stats: field %s: %w", name, err)
			}
		} else if f.Type.Kind() == reflect.Struct {
			err = each(name+".", a.Field(i), b.Field(i), do)
		} else {
			err = fmt.Errorf("stats: field %s is a %s, which is no stats.Value", name, f.Type)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// as is from as a *T. A value merges only with one of its own type.
func as[T any](from Value) (*T, error) {
	v, ok := from.(any).(*T)
	if !ok {
		return nil, fmt.Errorf("a %T does not merge with a %T", from, v)
	}
	return v, nil
}
