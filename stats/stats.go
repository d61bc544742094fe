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
// was, and decode from it again.
package stats

import (
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
//   - the zero value changes nothing when it is merged;
//   - Merge leaves its argument as it is, and keeps no memory of it;
//   - encoding to JSON and back gives an equal value.
//
// Package statstest checks this.
type Value interface {
	// MergeValue adds what from holds, which is of the receiver's type. An
	// error says why the two do not fit together; the receiver is unchanged.
	MergeValue(from Value) error
}

// Merge adds the statistics src to dst, field by field. An error names the field
// that is no [Value], or that does not fit; then dst is not to be used.
func Merge[S any](dst, src *S) error {
	return merge(reflect.ValueOf(dst).Elem(), reflect.ValueOf(src).Elem())
}

func merge(dst, src reflect.Value) error {
	t := dst.Type()
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("stats: %s is not a struct", t)
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			return fmt.Errorf("stats: field %s of %s is not exported, so it can not be merged", f.Name, t)
		}
		into, ok := dst.Field(i).Addr().Interface().(Value)
		if ok {
			if err := into.MergeValue(src.Field(i).Addr().Interface().(Value)); err != nil {
				return fmt.Errorf("stats: field %s of %s: %w", f.Name, t, err)
			}
			continue
		}
		if f.Type.Kind() != reflect.Struct {
			return fmt.Errorf("stats: field %s of %s is a %s, which can not be merged", f.Name, t, f.Type)
		}
		if err := merge(dst.Field(i), src.Field(i)); err != nil {
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
