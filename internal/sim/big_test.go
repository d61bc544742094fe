package sim

import (
	"os"
	"testing"
	"time"
)

// big are settings of a world with many clients and trouble for its whole life.
func big(seed uint64, clients, dirs int) settings {
	s := settings{
		Seed: seed, Roots: []int{dirs}, Shape: shape{fan: 12, wide: 1, files: 2, chain: 50}, Stall: time.Minute, Servers: 1,
		Clients: clients, Late: clients / 20, Workers: 4,
		Delay: 5 * time.Millisecond, Loss: 0.01, Put: 0.005, Timeout: 2 * time.Second,
		Trouble: 40 * time.Second, Incidents: 10 + clients/10,
	}
	s.Effort = effort{Dir: 2 * s.Trouble * time.Duration(2*clients) / time.Duration(dirs)}
	return s
}

func TestManyClientsCountEachFileOnce(t *testing.T) {
	clients, dirs := 100, 100_000
	switch {
	case os.Getenv("HYDRA_SIM_TIME") != "":
		clients, dirs = 1000, 1_000_000
	case testing.Short():
		clients, dirs = 20, 20_000
	}
	begin := time.Now()
	s := big(*firstFlag, clients, dirs)
	var took time.Duration
	err := inBubble(t, s, nil, func(w *world) error {
		err := w.live()
		took = time.Since(w.began)
		return err
	})
	if err != nil {
		t.Errorf("%.3000s\n%s", err, s)
	}
	t.Logf("%d clients, %d directories: %v, which took %v", clients, dirs, took, time.Since(begin).Round(time.Millisecond))
}
