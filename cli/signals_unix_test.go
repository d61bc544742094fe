//go:build unix

package cli

import (
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// stuck is a writer that nobody reads from.
type stuck struct {
	once            sync.Once
	reached, resume chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.reached) })
	<-s.resume
	return len(p), nil
}

func TestSignalsCountAlsoIfNobodyReadsWhatIsSaid(t *testing.T) {
	w := &stuck{reached: make(chan struct{}), resume: make(chan struct{})}
	s := &screen{w: w}
	var wg sync.WaitGroup
	wg.Go(func() { io.WriteString(s, "a line of progress\n") })
	<-w.reached

	aborted := make(chan int)
	ctx, sigs := watch(t.Context(), s, "test", "ending", make(chan struct{}), func(code int) {
		s.leave()
		aborted <- code
		runtime.Goexit() // as a process would
	}, nil)
	send := func(sig syscall.Signal) {
		if err := syscall.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
	}
	send(syscall.SIGINT)
	<-ctx.Done()
	send(syscall.SIGTERM)
	if code := <-aborted; code != 143 {
		t.Errorf("ended with %d, want 143", code)
	}
	close(w.resume)
	wg.Wait()
	sigs.close()
}
