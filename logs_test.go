package hydra

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hydrawalk/hydra/internal/client"
	"github.com/hydrawalk/hydra/internal/server"
	"github.com/hydrawalk/hydra/walk"
)

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func textLog(out *lockedBuffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, nil))
}

// filesIn makes a directory with empty files.
func filesIn(t *testing.T, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestWhatAnApplicationWarnsOfArrivesAtTheServer runs a job whose application logs
// far more than can be kept. The walk does not wait, and nothing is uncounted.
func TestWhatAnApplicationWarnsOfArrivesAtTheServer(t *testing.T) {
	const each = 700
	c := newCluster(t)
	serverLog, clientLog := new(lockedBuffer), new(lockedBuffer)
	engine := c.engine
	c.wg.Go(func() {
		b := engine.Open()
		defer b.Close()
		if err := server.Run(c.ctx, server.Options{Bus: b, Logger: textLog(serverLog)}); err != nil {
			t.Error(err)
		}
	})
	app := counter(func(_ context.Context, w *Worker[struct{}, counts], e *walk.Entry) error {
		for i := range each {
			w.Log.Warn("odd file", "path", e.Path(), "i", i)
		}
		w.Log.Info("done with a file")
		return nil
	})
	left := make(chan struct{})
	ctx, leave := context.WithCancel(c.ctx)
	c.wg.Go(func() {
		defer close(left)
		b := engine.Open()
		defer b.Close()
		o := client.Options{Bus: b, Workers: 1, Logger: textLog(clientLog), Host: "h1", Apps: []client.App{app.client("")}}
		if err := client.Work(ctx, o); err != nil {
			t.Error(err)
		}
	})
	s := c.connect()
	j, err := s.Submit(t.Context(), app, []string{filesIn(t, "a\xff\nb")}, &JobOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	leave() // it tells what it has before it goes
	<-left
	var st JobStatus
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); { // it may be on its way
		if st, err = j.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
		if strings.Count(serverLog.String(), "odd file")+int(st.WarningsDropped) >= each {
			break
		}
	}
	arrived := strings.Count(serverLog.String(), `msg="odd file `)
	if arrived < 100 || arrived+int(st.WarningsDropped) != each {
		t.Errorf("%d arrived and %d are counted as lost, of %d:\n%s", arrived, st.WarningsDropped, each, serverLog)
	}
	want := fmt.Sprintf("job=%s logger=counter client=", j.ID())
	if text := serverLog.String(); !strings.Contains(text, want) || !strings.Contains(text, "host=h1\n") || !strings.Contains(text, `a\\\\xff\\\\nb`) && !strings.Contains(text, `a\\xff\\nb`) {
		t.Errorf("%s", text)
	}
	if len(st.Warnings) < 10 || st.Warnings[0].Host != "h1" || st.Warnings[0].Logger != "counter" || !strings.Contains(st.Warnings[0].Text, `a\xff\nb`) {
		t.Errorf("%d warnings: %+v", len(st.Warnings), st.Warnings)
	}
	// What is no warning stays with the client.
	if strings.Contains(serverLog.String(), "done with a file") || !strings.Contains(clientLog.String(), `msg="done with a file" job=`+j.ID()+" logger=counter\n") {
		t.Errorf("the client logged\n%.2000s", clientLog)
	}
	if line := `msg="working on a job" job=` + j.ID() + ` logger=client app=counter`; !strings.Contains(clientLog.String(), line) {
		t.Errorf("the client did not log %s:\n%.2000s", line, clientLog)
	}
}
