package hydra

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/natsbus"
	"github.com/hydrawalk/hydra/internal/gate"
	"github.com/hydrawalk/hydra/internal/natsd"
)

// engine is the engine of this process, and the gate through which others come in.
type engine struct {
	*natsd.Server
	gate     *gate.Gate // nil: nobody comes in
	password string     // of this process
}

// engineUser is the name of this process at its engine.
const engineUser = "hydra"

// startEngine starts an engine that keeps its tables in a directory, of which the caller
// may have the lock. g may be nil.
func startEngine(dir string, locked *os.File, g *gate.Gate, log *slog.Logger) (*engine, error) {
	e := &engine{password: rand.Text() + rand.Text()}
	o := natsd.Options{StateDir: dir, User: engineUser, Password: e.password, Locked: locked, Log: log}
	if g != nil {
		o.Login = g.Login
	}
	var err error
	if e.Server, err = natsd.Start(o); err != nil {
		return nil, err
	}
	if g != nil {
		if err := g.Open(e.InProcessConn); err != nil {
			e.Server.Shutdown()
			return nil, err
		}
		e.gate = g
	}
	return e, nil
}

// connect makes a connection of this process, which may do all.
func (e *engine) connect(ctx context.Context, name string) (bus.Bus, error) {
	return natsbus.Connect(ctx, natsbus.Options{InProcess: e, User: engineUser, Password: e.password, Name: name, Sweeps: name == "server"})
}

// Shutdown lets nobody in any more, and ends.
func (e *engine) Shutdown() {
	if e.gate != nil {
		e.gate.Close()
	}
	e.Server.Shutdown()
}
