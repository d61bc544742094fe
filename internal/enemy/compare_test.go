package enemy

import (
	"fmt"
	"reflect"
)

// differences are the places at which two JSON values differ.
func differences(at string, got, want any) []string {
	g, isMap := got.(map[string]any)
	w, both := want.(map[string]any)
	if !isMap || !both {
		if reflect.DeepEqual(got, want) {
			return nil
		}
		return []string{fmt.Sprintf("%s is %.200v, and undisturbed %.200v", at, got, want)}
	}
	var all []string
	for name := range w {
		all = append(all, differences(at+"."+name, g[name], w[name])...)
	}
	for name := range g {
		if _, known := w[name]; !known {
			all = append(all, fmt.Sprintf("%s.%s is %.200v, and undisturbed is not there", at, name, g[name]))
		}
	}
	return all
}
