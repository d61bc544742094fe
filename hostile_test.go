package hydra

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/hydrawalk/hydra/walk"
	"github.com/klauspost/compress/zstd"
)

// What follows reads what nobody of ours wrote: a client, a command or a disk did.

func TestASumLeavesNoChoiceToItsBytes(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var look func(reflect.Type)
	look = func(is reflect.Type) {
		if seen[is] {
			return
		}
		seen[is] = true
		switch is.Kind() {
		case reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
			t.Errorf("%v is a part of what a session counts", is)
		case reflect.Map:
			look(is.Key())
			look(is.Elem())
		case reflect.Pointer, reflect.Slice, reflect.Array:
			look(is.Elem())
		case reflect.Struct:
			for i := range is.NumField() {
				if is.Field(i).IsExported() {
					look(is.Field(i).Type)
				}
			}
		}
	}
	look(reflect.TypeFor[sumOf]())
}

// FuzzActLines reads lines about acts.
func FuzzActLines(f *testing.F) {
	a := &Act{Op: "remove", Path: "/r/a\xff", Root: "/r", To: "/q/a", Stat: walk.Stat{Size: 7, Mode: 0o4755, Ino: 3}}
	line := appendAct(nil, a, actIntent, 1, 2, 3, "")
	f.Add(line)
	f.Add(append(line, line[:len(line)/2]...))
	for _, text := range []string{"null\n", "{}\n", "[]\n", `{"state":"done","path":null,"to":null,"root":{}}` + "\n", `{"state":"x","mode":"????????????????????????????????????????"}` + "\n", "\n\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, lines []byte) {
		var again []byte
		n := 0
		err := eachLine(lines, func(l *actLine) error {
			l.act()
			again = appendLine(again, *l)
			n++
			return nil
		})
		if err != nil {
			return
		}
		// What was read can be written for people, and read by programs.
		m := 0
		if err := eachLine(again, func(*actLine) error { m++; return nil }); err != nil || m != n {
			t.Errorf("of %d lines %d were read again: %v", n, m, err)
		}
		if bytes.ContainsFunc(again, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
			t.Errorf("%q", again)
		}
	})
}

// FuzzOutputParts reads parts of the output of a job.
func FuzzOutputParts(f *testing.F) {
	e, err := newEmitted()
	if err != nil {
		f.Fatal(err)
	}
	e.pack([][]byte{e.zip.EncodeAll([]byte("a\nb\n"), nil), e.zip.EncodeAll(bytes.Repeat([]byte("x"), 1<<20), nil)})
	for _, part := range e.Output() {
		f.Add(part)
		f.Add(part[:len(part)-1])
	}
	f.Add(binary.AppendUvarint(nil, 1<<63))
	zip, err := newUnzip()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(zip.Close)
	f.Fuzz(func(t *testing.T, part []byte) {
		var buf []byte
		_ = unpack(zip, &buf, part, func(p []byte) error {
			if len(p) > MostEmit+frameBytes {
				t.Errorf("%d bytes of one frame", len(p))
			}
			return nil
		})
	})
}

func TestOutputThatSaysItIsLargeIsNotRead(t *testing.T) {
	big, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	frame := big.EncodeAll(make([]byte, 1<<28), nil)
	part := append(binary.AppendUvarint(nil, uint64(len(frame))), frame...)
	zip, err := newUnzip()
	if err != nil {
		t.Fatal(err)
	}
	defer zip.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var buf []byte
	err = unpack(zip, &buf, part, func([]byte) error { return nil })
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, errBadPart) || used > 3*(MostEmit+frameBytes) {
		t.Errorf("%d bytes take %d: %v", len(part), used, err)
	}
}

// FuzzSettings changes settings of a job that anybody may have submitted.
func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"delay":5,"names":["a"],"only":"x","Deep":{"N":1},"ratio":0.5,"fixed":7}`), "delay", "2s")
	f.Add([]byte(`{}`), "Deep", `{"N":3}`)
	f.Add([]byte(`null`), "names", "a,b")
	f.Add([]byte(`[]`), "priority", "-1")
	f.Add([]byte(strings.Repeat("[", 20_000)), "max-errors", "1e9")
	f.Fuzz(func(t *testing.T, now []byte, key, value string) {
		set := &wire.Set{Levels: map[string]string{}}
		if known, err := general(set, Setting{key, value}); known || err != nil {
			return
		}
		after, err := knobsApp().change(now, []Setting{{key, value}})
		if err == nil && !json.Valid(after) {
			t.Errorf("settings are %q", after)
		}
	})
}

// FuzzOptions begins a session of a job that anybody may have submitted.
func FuzzOptions(f *testing.F) {
	options, err := encodeOptions(&Options{MaxDepth: 3, Rules: []Rule{{Glob: "*.o"}, {Glob: "a/**", Include: true}}, Prefixes: []string{"/m/\xff"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{}`), options)
	f.Add([]byte(`{"fixed":1}`), []byte(`{"rules":["KioqKioq"],"include":[]}`))
	f.Add([]byte(`null`), []byte(`null`))
	f.Add([]byte(``), []byte(`{"rules":["e3t7e3t7e3t7"],"include":[true],"max_depth":-1}`))
	f.Fuzz(func(t *testing.T, settings, options []byte) {
		task, err := newTask(knobsApp(), &wire.Spec{Job: "j", App: "knobs", Settings: settings, Options: options, Roots: [][]byte{[]byte("/r")}}, slog.New(slog.DiscardHandler))
		if err != nil {
			return
		}
		task.Options()
		_ = task.Update(settings)
		task.Close()
	})
}
