package statstest_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// recorder is a test that keeps what is said, and fails nobody else.
type recorder struct {
	testing.TB // nil: of the other methods none is called
	said       strings.Builder
}

func (r *recorder) Helper()      {}
func (r *recorder) Failed() bool { return r.said.Len() > 0 }

func (r *recorder) Errorf(format string, args ...any) { fmt.Fprintf(&r.said, format+"\n", args...) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}
