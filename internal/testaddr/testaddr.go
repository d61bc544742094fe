// Package testaddr finds addresses that tests can listen at, and listen at again.
package testaddr

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Systems take the ports of outgoing connections from above these: from 32768
// Linux, from 49152 others (RFC 6335, section 6).
const first, last = 10_000, 32_000

// Free returns an address of the loopback at which nobody listens. No outgoing
// connection gets its port, as it does with one that the system has chosen, so
// that a server that ends can be started again at it.
func Free() (string, error) {
	var err error
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprint("127.0.0.1:", first+rand.IntN(last-first))); err == nil {
			defer l.Close()
			return l.Addr().String(), nil
		}
	}
	return "", fmt.Errorf("find a port that is free: %w", err)
}
