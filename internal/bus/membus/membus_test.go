package membus

import (
	"testing"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/bustest"
)

func TestConformance(t *testing.T) {
	bustest.Test(t, func(t *testing.T) func() bus.Bus {
		e := New(nil)
		return func() bus.Bus { return e.Open() }
	})
}
