package main

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdLines waits until a file, which a command writes, has so many lines:
//
//	lines FILE N
func cmdLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines FILE N")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	poll(ts, func() string {
		text, _ := os.ReadFile(ts.MkAbs(args[0])) // it may not be there yet
		if n := bytes.Count(text, []byte("\n")); n < want {
			return strconv.Itoa(n) + " lines in " + args[0]
		}
		return ""
	})
}

// cmdDead waits until all processes are gone whose numbers are in a file:
//
//	dead FILE
func cmdDead(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: dead FILE")
	}
	pids := strings.Fields(ts.ReadFile(args[0]))
	if len(pids) == 0 {
		ts.Fatalf("no process is named in %s", args[0])
	}
	poll(ts, func() string {
		for _, text := range pids {
			pid, err := strconv.Atoi(text)
			ts.Check(err)
			p, err := os.FindProcess(pid)
			if err == nil && !errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone) && !zombie(pid) {
				return "process " + text + " lives"
			}
		}
		return ""
	})
}

// zombie tells whether a process is dead whose parent has not looked: in a container
// there may be nobody who does.
func zombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	return err == nil && bytes.HasPrefix(rest, []byte("Z"))
}

// poll asks until nothing is missing.
func poll(ts *testscript.TestScript, missing func() string) {
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		what := missing()
		if what == "" {
			return
		}
		if time.Since(begun) > patience {
			ts.Fatalf("%s", what)
		}
	}
}
