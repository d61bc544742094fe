package server_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/server"
	"github.com/hydrawalk/hydra/internal/wire"
)

// waiting is a server with a job that waits for clients.
type waiting struct {
	*testing.T
	engine *membus.Engine
	bus    bus.Bus // of the test's own
	table  bus.Table
}

func withJob(t *testing.T, do func(*waiting)) {
	synctest.Test(t, func(t *testing.T) {
		engine := membus.New(nil)
		w := &waiting{T: t, engine: engine, bus: engine.Open()}
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- server.Run(ctx, server.Options{Bus: engine.Open()}) }()
		synctest.Wait()
		w.ask(wire.Ask{Kind: wire.AskSubmit, Spec: &wire.Spec{Job: "j", App: "a", Roots: [][]byte{[]byte("/r")}}})
		time.Sleep(time.Second)
		var err error
		if w.table, err = w.bus.Open(ctx, wire.Table("j")); err != nil {
			t.Fatal(err)
		}
		do(w)
		end()
		<-ended
		w.bus.Close()
	})
}

func (w *waiting) ask(a wire.Ask) wire.Answer {
	w.Helper()
	data, err := w.bus.Request(w.Context(), wire.SubjectAsk(wire.RankOperator, "test"), ledger.Encode(a))
	if err != nil {
		w.Fatal(err)
	}
	var answer wire.Answer
	if err := ledger.Decode(data, &answer); err != nil {
		w.Fatal(err)
	}
	return answer
}

// state is that of the job, and its value.
func (w *waiting) state() (*ledger.State, bus.Value) {
	w.Helper()
	v, err := w.table.Get(w.Context(), wire.KeyState)
	if err != nil {
		w.Fatal(err)
	}
	state := new(ledger.State)
	if err := ledger.Decode(v.Data, state); err != nil {
		w.Fatal(err)
	}
	return state, v
}

// write writes a value in place of one, as another server would.
func (w *waiting) write(v bus.Value) {
	w.Helper()
	if _, err := w.table.Put(w.Context(), wire.KeyState, v.Data, v.Rev); err != nil {
		w.Fatal(err)
	}
}

func TestACommandIsCarriedOutThoughAnotherServerWroteMeanwhile(t *testing.T) {
	withJob(t, func(w *waiting) {
		_, v := w.state()
		w.write(v)
		if got := w.ask(wire.Ask{Kind: wire.AskCancel, Job: "j"}); got.Err != "" || len(got.Status) != 1 || got.Status[0].Phase != ledger.Ended {
			t.Errorf("the answer is %+v", got)
		}
		if state, _ := w.state(); state.Verdict.State != "cancelled" {
			t.Errorf("the state is %s, %q", state.Phase, state.Verdict.State)
		}
	})
}

func TestACommandThatNobodyWaitsForIsForgotten(t *testing.T) {
	withJob(t, func(w *waiting) {
		_, v := w.state()
		w.engine.SetFaults(membus.Faults{LostPut: 1})
		if got := w.ask(wire.Ask{Kind: wire.AskCancel, Job: "j"}); got.Err == "" {
			t.Errorf("the answer is %+v, and nothing can be written", got)
		}
		time.Sleep(2 * time.Second)
		w.engine.SetFaults(membus.Faults{})
		w.write(v) // the user has cancelled and resumed by way of another server
		time.Sleep(20 * time.Second)
		if state, _ := w.state(); state.Phase != ledger.Waiting {
			t.Errorf("the state is %s, %q", state.Phase, state.Verdict.State)
		}
	})
}

func TestAJobThatAnotherServerResumedGoesOn(t *testing.T) {
	withJob(t, func(w *waiting) {
		w.ask(wire.Ask{Kind: wire.AskCancel, Job: "j"})
		state, v := w.state()
		if state.Phase != ledger.Ended {
			t.Fatalf("the state is %s", state.Phase)
		}
		// The other one dies at once.
		state.Phase, state.Verdict, state.Resumed = ledger.Waiting, ledger.Verdict{}, 1
		v.Data = ledger.Encode(state)
		w.write(v)
		time.Sleep(time.Second)
		got := w.ask(wire.Ask{Kind: wire.AskStatus, Job: "j"})
		if len(got.Status) != 1 || got.Status[0].Phase != ledger.Waiting || got.Status[0].Waits == "" {
			t.Errorf("the status is %+v", got.Status)
		}
	})
}

func TestAJobOfAnotherServerIsFound(t *testing.T) {
	withJob(t, func(w *waiting) {
		// It is made as the other server does.
		table, err := w.bus.Create(w.Context(), wire.Table("o"))
		if err != nil {
			t.Fatal(err)
		}
		if got := w.ask(wire.Ask{Kind: wire.AskCancel, Job: "o"}); got.Err != "there is no job o" {
			t.Errorf("of a job that is not submitted yet it says %q", got.Err)
		}
		for key, v := range map[string]any{
			wire.KeySpec:  &wire.Spec{Job: "o", App: "a", Roots: [][]byte{[]byte("/r")}},
			wire.KeyState: ledger.NewState(),
		} {
			if _, err := table.Put(w.Context(), key, ledger.Encode(v), 0); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.ask(wire.Ask{Kind: wire.AskCancel, Job: "o"}); got.Err != "" || got.Status[0].Phase != ledger.Ended {
			t.Errorf("the answer is %+v", got)
		}
		if got := w.ask(wire.Ask{Kind: wire.AskCancel, Job: "a b"}); got.Err != "there is no job a b" {
			t.Errorf("of a name that none can have it says %q", got.Err)
		}
	})
}

func TestASessionThatBeganWhenTheJobHadEndedBelongsToItsNextRun(t *testing.T) {
	withJob(t, func(w *waiting) {
		w.ask(wire.Ask{Kind: wire.AskCancel, Job: "j"})
		r := ledger.NewSession("c.s", "c", "h").Commit(nil, ledger.Counted{})
		if _, err := w.table.Put(w.Context(), wire.KeyRecord("c.s"), ledger.Encode(&r), 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		w.ask(wire.Ask{Kind: wire.AskResume, Job: "j"})
		if state, _ := w.state(); state.Resumed != 1 || state.Members["c.s"].Run != 1 {
			t.Errorf("resumed %d times, the session is %+v", state.Resumed, state.Members["c.s"])
		}
	})
}

func TestSettingsThatNobodyCanMeanAreRefused(t *testing.T) {
	withJob(t, func(w *waiting) {
		for name, set := range map[string]*wire.Set{
			"priority":   {Priority: -1},
			"max errors": {MaxErrors: new(int64(-1))},
			"no number":  {LimitOps: new(math.NaN())},
			"negative":   {LimitOps: new(-0.5)},
			"infinite":   {LimitOps: new(math.Inf(1))},
			"latency":    {Latency: new(-time.Second)},
			"too many":   {Priority: 5, Said: make([][2]string, 101)},
		} {
			if got := w.ask(wire.Ask{Kind: wire.AskSet, Job: "j", Set: set}); got.Err == "" {
				t.Errorf("%s: it was taken", name)
			}
		}
		if got := w.ask(wire.Ask{Kind: wire.AskSet, Job: "j", Set: &wire.Set{Priority: 5, LimitOps: new(0.5)}}); got.Err != "" {
			t.Errorf("good ones: %s", got.Err)
		}
		if state, _ := w.state(); state.Control.Rev != 1 || state.Control.Priority != 5 {
			t.Errorf("the control is %+v", state.Control)
		}
	})
}

func TestAChangeThatWasMadeIsNoErrorWhenItsAnswerGotLostAndTheJobHasEnded(t *testing.T) {
	withJob(t, func(w *waiting) {
		changes := []wire.Ask{
			{Kind: wire.AskSet, Job: "j", Set: &wire.Set{LimitOps: new(5.0), Levels: map[string]string{"walk": "debug"}}},
			{Kind: wire.AskWorkers, Job: "j", Client: "c", Workers: 3},
			{Kind: wire.AskPause, Job: "j"},
		}
		for _, a := range changes {
			if got := w.ask(a); got.Err != "" {
				t.Errorf("%s: %s", a.Kind, got.Err)
			}
		}
		w.ask(wire.Ask{Kind: wire.AskCancel, Job: "j"})
		before, _ := w.state()
		if before.Phase != ledger.Ended {
			t.Fatalf("the state is %s", before.Phase)
		}
		for _, a := range changes {
			if got := w.ask(a); got.Err != "" {
				t.Errorf("%s again: %s", a.Kind, got.Err)
			}
		}
		for _, a := range []wire.Ask{
			{Kind: wire.AskSet, Job: "j", Set: &wire.Set{LimitOps: new(6.0)}},
			{Kind: wire.AskWorkers, Job: "j", Workers: 4},
		} {
			if got := w.ask(a); got.Err == "" {
				t.Errorf("%s: a job that has ended was changed", a.Kind)
			}
		}
		if after, _ := w.state(); after.Control.Rev != before.Control.Rev || *after.Control.LimitOps != 5 || len(after.Control.Workers) != 1 {
			t.Errorf("the control is %+v, and was %+v", after.Control, before.Control)
		}
	})
}
