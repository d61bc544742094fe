//go:build !linux

package walk

import "time"

// delays would measure how long threads wait for a processor.
type delays struct{}

func (d *delays) begin()               {}
func (d *delays) since() time.Duration { return 0 }
