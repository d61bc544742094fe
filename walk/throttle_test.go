package walk

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// asks is a handler that asks for the attributes of each file.
type asks struct{}

func (asks) File(_ context.Context, e *Entry) error {
	_, err := e.Stat()
	return err
}

func TestTheRateHoldsWhateverElseIsAskedOfTheWorkers(t *testing.T) {
	for _, workers := range []int{1, 8, 64} {
		for _, c := range []struct {
			rate  float64
			files int
		}{{1, 300}, {100, 3_000}, {20_000, 40_000}} {
			for _, steered := range []bool{false, true} {
				t.Run(fmt.Sprint(workers, " workers, ", c.rate, " per second, steered=", steered), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						const seed = 1
						t.Logf("seed %d", seed)
						rnd := rand.New(rand.NewPCG(seed, 0))
						throttle := new(Throttle)
						throttle.SetRate(c.rate)
						o := ShareOptions{Options: Options{FS: files(c.files), Throttle: throttle}}
						o.NewHandler = func(int) (Handler, error) { return asks{}, nil }
						o.Between = func(int) error { return nil }
						o.tune = func(s *Shared) { s.chunk = leastRoom }
						s := alone(t, nil, workers, o)
						began := time.Now()
						s.AddRoots(false)
						var paused time.Duration
						lap := time.Duration(float64(c.files) / c.rate * float64(time.Second) / 40)
						for s.Load().Pending > 0 {
							time.Sleep(lap)
							if !steered {
								continue
							}
							s.Interject()
							asked := time.Now()
							if _, err := s.Cut(t.Context(), nil); err != nil || time.Since(asked) > 0 {
								t.Fatalf("a cut took %v, %v", time.Since(asked), err)
							}
							if rnd.IntN(4) == 0 {
								s.Pause(true)
								before := throttle.sum()
								time.Sleep(lap)
								if more := throttle.sum() - before; more > float64(workers*mostBatch) {
									t.Errorf("%v calls were made in a pause", more)
								}
								s.Pause(false)
								paused += lap
							}
						}
						took := time.Since(began)
						u := throttle.Sample()
						want := float64(u.Ops) / c.rate
						// In a pause may be earned what was paid for before.
						if took.Seconds() < 0.95*want || (took-paused).Seconds() > 1.05*want {
							t.Errorf("%d calls took %v, of which %v were pauses, want %.2f s", u.Ops, took, paused, want)
						}
						if u.Ops < int64(c.files) || u.Held == 0 || u.Timed != 0 || u.Elapsed < took {
							t.Errorf("%+v", u)
						}
					})
				})
			}
		}
	}
}

func TestANewRateHoldsAtOnceForThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := new(Throttle)
		throttle.SetRate(0.001)
		done := make(chan Totals)
		o := Options{FS: files(100), Throttle: throttle, Workers: 4}
		go func() {
			tot, err := Trees(t.Context(), []string{"."}, func(int) (Handler, error) { return asks{}, nil }, &o)
			if err != nil {
				t.Error(err)
			}
			done <- tot
		}()
		began := time.Now()
		time.Sleep(time.Minute)
		if u := throttle.Sample(); u.Ops > 10 || u.Held < 50*time.Second {
			t.Errorf("%+v in a minute", u)
		}
		throttle.SetRate(10)
		time.Sleep(time.Second)
		if u := throttle.Sample(); u.Ops < 8 || u.Ops > 20 {
			t.Errorf("%+v, and 10 per second were asked for", u)
		}
		throttle.SetRate(0)
		if tot := <-done; tot.ProcessedFiles != 100 || time.Since(began) > 62*time.Second {
			t.Errorf("%v, %+v", time.Since(began), tot)
		}
	})
}

func TestTheTimeOfCallsIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := new(Throttle)
		throttle.Measure(true)
		o := Options{FS: sluggish{files(100)}, Throttle: throttle, Workers: 1}
		if _, err := Trees(t.Context(), []string{"."}, func(int) (Handler, error) { return asks{}, nil }, &o); err != nil {
			t.Error(err)
		}
		u := throttle.Sample()
		// All files are asked for, and the directory is read until nothing is left.
		if u.Timed < 102 || u.Ops <= u.Timed || u.Held != 0 || u.Took < 2*time.Millisecond || u.Took > u.Elapsed {
			t.Errorf("%+v", u)
		}
		throttle.Measure(false)
		if _, err := Trees(t.Context(), []string{"."}, func(int) (Handler, error) { return asks{}, nil }, &o); err != nil {
			t.Error(err)
		}
		if u := throttle.Sample(); u.Ops != 0 || u.Timed != 0 {
			t.Errorf("%+v, and nothing is measured", u)
		}
	})
}

func TestAWalkThatWaitsForItsRateCanBeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := new(Throttle)
		throttle.SetRate(0.001)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		o := Options{FS: files(100), Throttle: throttle, Workers: 4}
		tot, err := Trees(ctx, []string{"."}, func(int) (Handler, error) { return asks{}, nil }, &o)
		if err == nil || time.Since(began) > time.Second || tot.QueuedDirs != 1 {
			t.Errorf("%+v after %v, %v", tot, time.Since(began), err)
		}
	})
}

func (t *Throttle) sum() float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.paid
}
