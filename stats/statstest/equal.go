package statstest

import (
	"reflect"

	"github.com/hydrawalk/hydra/stats"
)

// different names the first field that is not equal in a and b; it is empty if
// there is none.
func different[S any](a, b *S) string {
	return differentIn(reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem())
}

// differentIn is for structs that stats.Merge took: each field of theirs is a
// value, or a struct of such.
func differentIn(a, b reflect.Value) string {
	for i := range a.NumField() {
		name, x, y := a.Type().Field(i).Name, a.Field(i), b.Field(i)
		if _, isValue := x.Addr().Interface().(stats.Value); isValue {
			if !equal(x, y) {
				return name
			}
		} else if below := differentIn(x, y); below != "" {
			return name + "." + below
		}
	}
	return ""
}

// equal asks the method Equal of a value's type, if it has one.
func equal(a, b reflect.Value) bool {
	method := a.Addr().MethodByName("Equal")
	if method.IsValid() {
		f := method.Type()
		if f.NumIn() == 1 && f.In(0) == b.Type() && f.NumOut() == 1 && f.Out(0).Kind() == reflect.Bool {
			return method.Call([]reflect.Value{b})[0].Bool()
		}
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
