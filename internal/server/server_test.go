package server_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/bus/membus"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/server"
	"github.com/hydrawalk/hydra/internal/wire"
)

// TestACommandIsCarriedOutThoughAnotherServerWroteMeanwhile cancels a job, whose
// state was written by somebody else a moment before.
func TestACommandIsCarriedOutThoughAnotherServerWroteMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := membus.New(nil)
		own := engine.Open()
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- server.Run(ctx, server.Options{Bus: engine.Open()}) }()
		synctest.Wait()

		ask(t, own, wire.Ask{Kind: wire.AskSubmit, Spec: &wire.Spec{Job: "j", App: "a", Roots: [][]byte{[]byte("/r")}}})
		time.Sleep(time.Second)
		table, err := own.Open(ctx, wire.Table("j"))
		if err != nil {
			t.Fatal(err)
		}
		v, err := table.Get(ctx, wire.KeyState)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := table.Put(ctx, wire.KeyState, v.Data, v.Rev); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, own, wire.Ask{Kind: wire.AskCancel, Job: "j"}); len(got.Status) != 1 || got.Status[0].Phase != ledger.Ended {
			t.Errorf("the answer is %+v", got)
		}
		if v, err = table.Get(ctx, wire.KeyState); err != nil {
			t.Fatal(err)
		}
		var state ledger.State
		if err := ledger.Decode(v.Data, &state); err != nil || state.Verdict.State != "cancelled" {
			t.Errorf("the state is %s, %q, %v", state.Phase, state.Verdict.State, err)
		}
		end()
		<-ended
		own.Close()
	})
}

func ask(t *testing.T, b bus.Bus, a wire.Ask) wire.Answer {
	t.Helper()
	data, err := b.Request(t.Context(), wire.SubjectAsk, ledger.Encode(a))
	if err != nil {
		t.Fatal(err)
	}
	var answer wire.Answer
	if err := ledger.Decode(data, &answer); err != nil || answer.Err != "" {
		t.Fatalf("%s: %v, %s", a.Kind, err, answer.Err)
	}
	return answer
}
