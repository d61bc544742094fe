package gate

import (
	"net"
	"net/netip"
	"sync"

	"golang.org/x/time/rate"
)

// Bounds of connections. Those that have not proved yet who they are push out the
// oldest of their own address, and so can not keep others out.
const (
	mostKnocking = 1024 // of all
	mostOfOne    = 64   // of them, from one address
	mostOfID     = 128  // of one identity that has proved who it is: one for each job
	mostOfLocal  = 16 << 10
	mostInside   = 64 << 10
)

// member is an identity that has connections. Its limits are for all of them together.
type member struct {
	n       int
	hints   *rate.Limiter // messages, which the server or a client has to look at
	creates *rate.Limiter // consumers, which read tables
}

// A client beats twenty times a second while it is hungry, and tells little else; a job or
// a command makes a few consumers.
const (
	hintsPerSecond   = 400
	createsPerSecond = 20
	createBurst      = 200
)

func newMember(identity string) *member {
	if identity == Local { // whose server it is
		return &member{hints: rate.NewLimiter(rate.Inf, 0), creates: rate.NewLimiter(rate.Inf, 0)}
	}
	return &member{hints: rate.NewLimiter(hintsPerSecond, 4*hintsPerSecond), creates: rate.NewLimiter(createsPerSecond, createBurst)}
}

func most(identity string) int {
	if identity == Local {
		return mostOfLocal
	}
	return mostOfID
}

// visitor is a connection.
type visitor struct {
	conn     net.Conn // of TLS, if there is
	raw      net.Conn
	from     netip.Prefix
	identity string // "": not known yet
	member   *member
	done     chan struct{} // closed when the HTTP server has ended it; nil: it has not got it
}

// crowd are the connections that there are.
type crowd struct {
	mu     sync.Mutex
	all    map[*visitor]struct{}
	knocks map[netip.Prefix][]*visitor // that have proved nothing yet, the oldest first
	count  int                         // of knocks
	of     map[string]*member          // by identity
	handed map[net.Conn]*visitor       // that the HTTP server has
}

func (c *crowd) init() {
	c.all, c.knocks = map[*visitor]struct{}{}, map[netip.Prefix][]*visitor{}
	c.of, c.handed = map[string]*member{}, map[net.Conn]*visitor{}
}

// prefix is what limits go by: an address, or of IPv6 the network that one site has.
func prefix(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits)
	return p
}

// enter takes a connection in that has proved nothing yet. It returns nil if there is
// no room.
func (c *crowd) enter(conn net.Conn) *visitor {
	v := &visitor{conn: conn, raw: conn, from: prefix(conn.RemoteAddr())}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) >= mostInside {
		return nil
	}
	if len(c.knocks[v.from]) >= mostOfOne {
		c.push(v.from)
	} else if c.count >= mostKnocking {
		// Whoever has the most of them can spare one.
		var most netip.Prefix
		for from, vs := range c.knocks {
			if len(vs) > len(c.knocks[most]) {
				most = from
			}
		}
		c.push(most)
	}
	c.all[v] = struct{}{}
	c.knocks[v.from] = append(c.knocks[v.from], v)
	c.count++
	return v
}

// push pushes the oldest of an address out; mu is held.
func (c *crowd) push(from netip.Prefix) {
	if vs := c.knocks[from]; len(vs) > 0 {
		vs[0].raw.Close()
		c.known(vs[0])
	}
}

// known takes one out of those that have proved nothing; mu is held.
func (c *crowd) known(v *visitor) {
	vs := c.knocks[v.from]
	for i, other := range vs {
		if other != v {
			continue
		}
		c.count--
		if len(vs) == 1 {
			delete(c.knocks, v.from)
			return
		}
		c.knocks[v.from] = append(vs[:i:i], vs[i+1:]...)
		return
	}
}

// admit notes who a connection is. False: that one has too many.
func (c *crowd) admit(v *visitor, identity string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.of[identity]
	if m == nil {
		m = newMember(identity)
		c.of[identity] = m
	}
	if m.n >= most(identity) {
		return false
	}
	c.known(v)
	m.n++
	v.identity, v.member = identity, m
	return true
}

// leave ends a connection.
func (c *crowd) leave(v *visitor) {
	v.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, v)
	c.known(v)
	if m := v.member; m != nil {
		// Limits are kept of those who may come again at once to have new ones.
		if m.n--; m.n == 0 && m.hints.Tokens() >= float64(m.hints.Burst()) && m.creates.Tokens() >= float64(m.creates.Burst()) {
			delete(c.of, v.identity)
		}
	}
}

// cut ends the connections that match.
func (c *crowd) cut(match func(*visitor) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for v := range c.all {
		if match(v) {
			v.raw.Close()
		}
	}
}

// watch returns a channel that is closed when the HTTP server is done with a connection.
func (c *crowd) watch(v *visitor) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	v.done = make(chan struct{})
	c.handed[v.conn] = v
	return v.done
}

// closed is called when the HTTP server has closed a connection.
func (c *crowd) closed(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.handed[conn]; v != nil {
		delete(c.handed, conn)
		close(v.done)
	}
}
