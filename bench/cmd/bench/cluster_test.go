package main

import (
	"strings"
	"testing"
)

// A benchmark of results that are wrong says nothing.
func TestResultsMayDifferInTimesAndPlacesOnly(t *testing.T) {
	const one = `{"job":"local-1","wall_seconds":1.5,"clients":1,"workers":2,"complete":true,
		"stats":{"num_clients":1,"time_stat":0.1,"processed_files":7}}`
	seconds, want, err := essence([]byte(one))
	if err != nil || seconds != 1.5 {
		t.Fatalf("%v seconds, %v", seconds, err)
	}
	for change, same := range map[string]bool{
		`"job":"local-1"→"job":"2"`:                     true,
		`"wall_seconds":1.5→"wall_seconds":2`:           true,
		`"clients":1→"clients":2`:                       true,
		`"time_stat":0.1→"time_stat":0.2`:               true,
		`"complete":true→"complete":false`:              false,
		`"processed_files":7→"processed_files":8`:       false,
		`"processed_files":7→"processed_files":7,"x":1`: false,
	} {
		from, to, _ := strings.Cut(change, "→")
		_, got, err := essence([]byte(strings.Replace(one, from, to, 1)))
		if err != nil || (got == want) != same {
			t.Errorf("%s: same: %v, %v; %s", change, got == want, err, difference(want, got))
		}
	}
}
