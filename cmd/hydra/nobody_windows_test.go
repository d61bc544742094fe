package main

import (
	"os/exec"

	"github.com/rogpeppe/go-internal/testscript"
)

func asNobody(ts *testscript.TestScript, _ *exec.Cmd) {
	ts.Fatalf("there is no user without rights here: begin the script with [windows] skip")
}
