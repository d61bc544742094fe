package gate

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/trust"
)

// connect is what a connection says first. What is not here does not reach the engine.
type connect struct {
	Verbose      bool   `json:"verbose"`
	Pedantic     bool   `json:"pedantic"`
	User         string `json:"user,omitempty"`
	Password     string `json:"pass,omitempty"`
	Name         string `json:"name,omitempty"`
	Lang         string `json:"lang,omitempty"`
	Version      string `json:"version,omitempty"`
	Protocol     int    `json:"protocol"`
	Echo         bool   `json:"echo"`
	Headers      bool   `json:"headers"`
	NoResponders bool   `json:"no_responders"`
}

// info is what of the engine's greeting is told to those who are not known yet.
type info struct {
	ID         string `json:"server_id"`
	Name       string `json:"server_name"`
	Version    string `json:"version"`
	Proto      int    `json:"proto"`
	Headers    bool   `json:"headers"`
	MaxPayload int64  `json:"max_payload"`
	JetStream  bool   `json:"jetstream,omitempty"`
	Auth       bool   `json:"auth_required,omitempty"`
	TLS        bool   `json:"tls_required,omitempty"`
}

// greet makes a greeting of the engine's. It knows nothing of TLS, which has begun before.
func greet(line []byte, secure bool) ([]byte, error) {
	var i info
	text, ok := bytes.CutPrefix(line, []byte("INFO "))
	if err := json.Unmarshal(text, &i); err != nil || !ok {
		return nil, fmt.Errorf("the engine greets with %.60q: %w", line, cmp.Or(err, errProtocol))
	}
	i.TLS = secure
	text, err := json.Marshal(&i)
	return fmt.Appendf(nil, "INFO %s\r\n", text), err
}

const bufferSize = 16 << 10

// wholeTime is how long a line with its payload may take from its first byte to its last.
const wholeTime = 30 * time.Second

// serve joins a connection to the engine, and ends with either of them.
func (g *Gate) serve(v *visitor) error {
	engine, err := g.engine()
	if err != nil {
		return err
	}
	defer engine.Close()
	// The engine begins.
	fromEngine := bufio.NewReaderSize(engine, bufferSize)
	line, err := fromEngine.ReadSlice('\n')
	if err != nil {
		return err
	}
	greeting, err := greet(line, g.o.TLS != nil)
	if err != nil {
		return err
	}
	if _, err := v.conn.Write(greeting); err != nil {
		return err
	}
	in := bufio.NewReaderSize(v.conn, bufferSize)
	c, err := readConnect(in)
	if err != nil {
		return tell(v.conn, err)
	}
	r, err := g.admit(v, c)
	if err != nil {
		g.refused(v, "a connection is refused", c.User, err)
		return tell(v.conn, &forbidden{refusal(err)})
	}
	c.Password = g.pass(r.Rights)
	defer g.void(c.Password)
	hello, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_ = v.conn.SetDeadline(time.Time{})
	out := bufio.NewWriterSize(engine, bufferSize)
	if _, err := fmt.Fprintf(out, "CONNECT %s\r\n", hello); err != nil {
		return err
	}

	var wg sync.WaitGroup
	defer wg.Wait()
	defer v.conn.Close()
	defer engine.Close()
	var mu sync.Mutex // of what is written to the other side
	f := newFilter(in, out, r, v.member)
	f.heard = func() {
		mu.Lock()
		mu.Unlock() //lint:ignore SA2001 it is held for as long as something is being sent
	}
	f.begun = func() { _ = v.conn.SetReadDeadline(time.Now().Add(wholeTime)) }
	f.ended = func() { _ = v.conn.SetReadDeadline(time.Time{}) }
	wg.Go(func() {
		defer v.conn.Close() // the engine has ended it
		buf := make([]byte, bufferSize)
		for {
			n, err := fromEngine.Read(buf)
			if n > 0 {
				mu.Lock()
				_ = v.conn.SetWriteDeadline(time.Now().Add(time.Minute))
				_, writeErr := v.conn.Write(buf[:n])
				mu.Unlock()
				if writeErr != nil {
					engine.Close()
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	err = f.run(g.life)
	if no, ok := errors.AsType[*forbidden](err); ok {
		g.refused(v, "a connection said what it may not, and was ended", c.User, no)
	}
	mu.Lock()
	defer mu.Unlock()
	return tell(v.conn, err)
}

// tell tells the other side why its connection ends, if that was its fault.
func tell(conn net.Conn, err error) error {
	text := ""
	if no, ok := errors.AsType[*forbidden](err); ok {
		text = no.told
	} else if errors.Is(err, errProtocol) {
		text = "Unknown Protocol Operation"
	}
	if text != "" {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = fmt.Fprintf(conn, "-ERR '%s'\r\n", text)
	}
	return err
}

// readConnect reads the first line.
func readConnect(in *bufio.Reader) (*connect, error) {
	line, err := readLine(in)
	if err != nil {
		return nil, err
	}
	text, ok := bytes.CutPrefix(line, []byte("CONNECT "))
	if !ok {
		return nil, errProtocol
	}
	c := new(connect)
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("%w: %w", errProtocol, err)
	}
	return c, nil
}

// admit decides what a connection may do.
func (g *Gate) admit(v *visitor, c *connect) (rights, error) {
	as, id, claimed, ok := parse(c.User)
	if !ok {
		return rights{}, errors.New("it names no role")
	}
	password := c.Password
	if as == job {
		// The ticket takes the place of the password; where there are certificates,
		// one is needed too.
		r, err := g.o.Tickets.rights(id, password)
		if err != nil || g.o.TLS == nil {
			if err == nil && !g.crowd.admit(v, claimed) {
				err = errMany
			}
			return r, err
		}
		who, err := g.known(v, "", as, claimed)
		if !who.NotAfter.IsZero() && who.NotAfter.Before(r.Until) {
			r.Until = who.NotAfter
		}
		return r, err
	}
	who, err := g.known(v, password, as, claimed)
	if err != nil {
		return rights{}, err
	}
	r := of(as, id)
	r.Until = who.NotAfter
	return r, nil
}

var errMany = errors.New("it has too many connections")

// known makes sure that a connection is who it says, and may be what it wants.
func (g *Gate) known(v *visitor, password string, as trust.Role, claimed string) (trust.Identity, error) {
	who, err := g.identify(v, password)
	switch {
	case err != nil:
		return who, err
	case who.ID != claimed:
		return who, fmt.Errorf("%s calls itself %s", who.ID, claimed)
	case !may(who.Role, as):
		return who, fmt.Errorf("%s is a %s, and not a %s", who.ID, who.Role, as)
	case !g.crowd.admit(v, who.ID):
		return who, errMany
	}
	// It may have been revoked in the moment before it was noted.
	return g.identify(v, password)
}
