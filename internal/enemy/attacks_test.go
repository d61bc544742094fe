package enemy

import (
	"reflect"
	"slices"
	"testing"
)

// attack is one of those during which a real job runs.
type attack struct {
	name string
	do   func(t *testing.T, w *world, running string)
}

// TestNothingAnEnemyDoesDisturbsAJob plays each attack against a server with two clients,
// while a job runs there, which has to end in time with the exact result.
func TestNothingAnEnemyDoesDisturbsAJob(t *testing.T) {
	w := open(t)
	table := w.table(t, w.archive)
	before := contents(t, table)
	t.Run("attack", func(t *testing.T) {
		for _, a := range slices.Concat(strangers, noises, rogues, liars) {
			t.Run(a.name, func(t *testing.T) {
				t.Parallel()
				w.during(t, func(running string) { a.do(t, w, running) })
			})
		}
	})
	if after := contents(t, table); !reflect.DeepEqual(before, after) {
		t.Errorf("the table of a job that had ended was\n%v\nand is\n%v", before, after)
	}
}
