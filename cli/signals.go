package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// interruption is why a context was cancelled by a signal.
type interruption struct{ sig syscall.Signal }

func (i *interruption) Error() string { return "interrupted by " + signalName(i.sig) }

// exitCode is what shells report of who ends by a signal.
func (i *interruption) exitCode() int { return 128 + int(i.sig) }

func signalName(s syscall.Signal) string {
	switch s {
	case syscall.SIGINT:
		return "SIGINT"
	case syscall.SIGTERM:
		return "SIGTERM"
	}
	return s.String()
}

// signals watches for signals while a run is on.
type signals struct {
	ask chan struct{} // somebody wants to see the progress

	stop chan struct{}
	wg   sync.WaitGroup
}

// watch returns a context that the first SIGINT or SIGTERM cancels; it says then
// what is done, unless that is "". At the second one, abort is called; it does
// not return. After the run, abort is called at the first one. reopen is called
// at SIGHUP, if it is not nil.
func watch(parent context.Context, screen *screen, title, says string, ran <-chan struct{}, abort func(code int), reopen func()) (context.Context, *signals) {
	ctx, cancel := context.WithCancelCause(parent)
	w := &signals{ask: make(chan struct{}, 1), stop: make(chan struct{})}
	end := make(chan os.Signal, 4)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		if !signal.Ignored(s) { // as for a job in the background
			signal.Notify(end, s)
		}
	}
	ask := make(chan os.Signal, 1)
	if len(progressSignals) > 0 {
		signal.Notify(ask, progressSignals...)
	}
	hup := make(chan os.Signal, 1)
	if reopen != nil && hangup != nil {
		signal.Notify(hup, hangup)
	}
	w.wg.Go(func() {
		defer cancel(nil)
		defer signal.Stop(end)
		defer signal.Stop(ask)
		defer signal.Stop(hup)
		for {
			select {
			case <-w.stop:
				return
			case <-hup:
				reopen()
			case <-ask:
				select {
				case w.ask <- struct{}{}:
				default: // it was asked for already
				}
			case s := <-end:
				why := &interruption{s.(syscall.Signal)}
				select {
				case <-ran:
					abort(why.exitCode())
				default:
				}
				if ctx.Err() != nil {
					abort(why.exitCode())
				}
				cancel(why)
				if says == "" {
					continue
				}
				// Standard error may be a pipe that nobody reads: the next signal
				// must not wait for it.
				w.wg.Go(func() {
					fmt.Fprintf(screen, "%s: %s: %s; once more ends at once\n", title, signalName(why.sig), says)
				})
			}
		}
	})
	return ctx, w
}

// close ends the watch; signals do again what they do by default.
func (w *signals) close() {
	close(w.stop)
	w.wg.Wait()
}
