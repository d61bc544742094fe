package client

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// Whatever is handed in at once: who reads it holds a frame in memory.
func TestFramesOfActsAreSmallAndHoldAllLinesInOrder(t *testing.T) {
	a := newActs(nil)
	var want strings.Builder
	hand := func(n int) []byte {
		line := fmt.Appendf(nil, "%d %s\n", want.Len(), bytes.Repeat([]byte("x"), n))
		want.Write(line)
		return line
	}
	for _, n := range []int{10, mostFrame / 3, mostFrame / 2, 7, 2 * mostFrame, 100, mostFrame, mostFrame} {
		a.held.Write(hand(n))
	}
	w := &waiting{lines: hand(mostFrame / 2), done: make(chan struct{})}
	a.waits = append(a.waits, w)
	var got strings.Builder
	for f := a.take(false); f != nil; f = a.take(false) {
		if len(f.lines) > 2*mostFrame+mostFrame/2 || !bytes.HasSuffix(f.lines, []byte("\n")) {
			t.Errorf("a frame of %d bytes", len(f.lines))
		}
		got.Write(f.lines)
		if len(f.waits) > 0 && got.Len() != want.Len() {
			t.Error("who waits is answered before all that was handed in is written")
		}
	}
	if got.String() != want.String() {
		t.Errorf("%d bytes of %d", got.Len(), want.Len())
	}
}

func TestWhatCouldNotBeReadIsNotWritten(t *testing.T) {
	if err := newActs(nil).write(t.Context(), make([]byte, mostLines+1)); err == nil {
		t.Error("it was written")
	}
}

func TestAFrameThatSaysItIsLargeIsNotRead(t *testing.T) {
	bomb, err := pack(make([]byte, mostLines+1))
	if err != nil {
		t.Fatal(err)
	}
	if lines, err := unpack(bomb); err == nil {
		t.Errorf("of %d bytes %d were made", len(bomb), len(lines))
	}
}

// FuzzFrame reads frames of acts that nobody of ours wrote.
func FuzzFrame(f *testing.F) {
	for _, lines := range []string{"", "{}\n", strings.Repeat("x", 100_000)} {
		packed, err := pack([]byte(lines))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		lines, err := unpack(packed)
		if err != nil {
			return
		}
		again, err := pack(lines)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := unpack(again); err != nil || !bytes.Equal(back, lines) {
			t.Errorf("%d bytes are not what was packed: %v", len(lines), err)
		}
	})
}
