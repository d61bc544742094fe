package ledger

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestTheDrawingOfStatesIsTheTable(t *testing.T) {
	text, err := os.ReadFile("../../docs/jobs.md")
	if err != nil {
		t.Fatal(err)
	}
	want := "stateDiagram-v2\n    [*] --> waiting: submit\n"
	for _, way := range Transitions {
		want += fmt.Sprintf("    %s --> %s: %s\n", way.From, way.To, way.Why)
	}
	_, drawing, _ := strings.Cut(string(text), "```mermaid\n")
	drawing, _, _ = strings.Cut(drawing, "```")
	if drawing != want {
		t.Errorf("docs/jobs.md draws\n%s\nthe table is\n%s", drawing, want)
	}
}

func TestFromEachPhaseAJobCanEndAndBeginAgain(t *testing.T) {
	for _, from := range []Phase{Waiting, Running, Paused, Finishing, Stopping, Ended} {
		seen := map[Phase]bool{from: true}
		for range Transitions {
			for _, way := range Transitions {
				seen[way.To] = seen[way.To] || seen[way.From]
			}
		}
		if !seen[Ended] || !seen[Waiting] {
			t.Errorf("from %s lead ways only to %v", from, seen)
		}
	}
	if Follows(Stopping, Running) || !Follows(Running, Running) {
		t.Error("a job that is being ended does not go on, and one may stay as it is")
	}
}

func TestTheLastChangesAreKept(t *testing.T) {
	var c Control
	for i := range 3 * mostChanges {
		c.Note(time.Unix(int64(i), 0), "k", fmt.Sprint(i))
	}
	if c.Changed != 3*mostChanges || len(c.Changes) != mostChanges || c.Changes[mostChanges-1].Value != "299" {
		t.Errorf("%d changes, %d kept, the last one %+v", c.Changed, len(c.Changes), c.Changes[len(c.Changes)-1])
	}
}

func TestTheNumberOfWorkersIsThatOfTheClientOrThatOfAll(t *testing.T) {
	var c Control
	check := func(id ClientID, want int, wantAsked bool) {
		t.Helper()
		if n, asked := c.WorkersOf(id); n != want || asked != wantAsked {
			t.Errorf("client %s may have %d workers, asked %v; want %d, %v", id, n, asked, want, wantAsked)
		}
	}
	check("a", 0, false)
	c.SetWorkers("", 4)
	c.SetWorkers("a", Adapt)
	check("a", Adapt, true)
	check("b", 4, true)
	before := c.Workers
	c.SetWorkers("a", 0)
	check("a", 4, true)
	if before["a"] != Adapt {
		t.Error("what a snapshot holds was changed")
	}
	c.SetWorkers("a", 2)
	c.SetWorkers("", 8) // of all: also of those that were named
	check("a", 8, true)
	c.SetWorkers("", 0)
	check("a", 0, false)
}
