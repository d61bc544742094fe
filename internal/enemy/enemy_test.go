package enemy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hydrawalk/hydra/internal/gate"
	"github.com/hydrawalk/hydra/internal/trust"
)

// enemy is somebody on a host of its own, who can reach the server.
type enemy struct {
	w  *world
	ip net.IP
}

// patience bounds each step of an enemy. It is longer than the server's own.
const patience = 20 * time.Second

// Dial connects; it is a dialer of NATS too.
func (e *enemy) Dial(string, string) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: e.ip}, Timeout: patience}
	conn, err := dialer.Dial("tcp", e.w.address)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(patience))
}

// plain is a connection on which nothing was said yet.
func (e *enemy) plain(t *testing.T) net.Conn {
	t.Helper()
	conn, err := e.Dial("", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// config is that of who believes any server. protocol may be "".
func config(protocol string, own ...tls.Certificate) *tls.Config {
	c := &tls.Config{InsecureSkipVerify: true, Certificates: own}
	if protocol != "" {
		c.NextProtos = []string{protocol}
	}
	return c
}

// certificate is what a credential shows.
func certificate(t *testing.T, c *trust.Credential) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(c.Certificate), []byte(c.Key))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// secure is a connection with TLS.
func (e *enemy) secure(t *testing.T, c *tls.Config) *tls.Conn {
	t.Helper()
	conn := tls.Client(e.plain(t), c)
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn
}

// says sends something and tells what comes back until the connection ends.
func says(conn net.Conn, text string) (answer string, err error) {
	if _, err := io.WriteString(conn, text); err != nil {
		return "", fmt.Errorf("cut while it spoke: %w", err)
	}
	return rest(conn)
}

// rest is what comes until the server ends the connection; that it does not is the error.
func rest(conn net.Conn) (string, error) {
	var all strings.Builder
	_, err := io.Copy(&all, io.LimitReader(conn, 1<<20))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return all.String(), errors.New("the server did not end the connection")
	}
	return all.String(), nil
}

// connect sends CONNECT, and returns what the engine says next to a PING.
func connect(conn net.Conn, user, password string) (string, error) {
	in := bufio.NewReader(conn)
	if greeting, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(greeting, "INFO ") {
		return greeting, err
	}
	if _, err := fmt.Fprintf(conn, "CONNECT {\"user\":%q,\"pass\":%q,\"headers\":true,\"no_responders\":true}\r\nPING\r\n", user, password); err != nil {
		return "", err
	}
	return in.ReadString('\n')
}

// inside is a connection of NATS by somebody who has a certificate, under a name.
func (e *enemy) inside(t *testing.T, pair tls.Certificate, user, password string) (*nats.Conn, error) {
	t.Helper()
	id := user[strings.IndexByte(user, '.')+1:]
	nc, err := nats.Connect("nats://"+e.w.address, nats.SetCustomDialer(undated{e}), nats.Secure(config(gate.Protocol, pair)), nats.TLSHandshakeFirst(),
		nats.UserInfo(user, password), nats.NoReconnect(), nats.CustomInboxPrefix(gate.Inbox(id)), nats.Timeout(patience),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		return nil, err
	}
	t.Cleanup(nc.Close)
	return nc, nil
}

// undated dials without a deadline.
type undated struct{ e *enemy }

func (u undated) Dial(network, address string) (net.Conn, error) {
	conn, err := u.e.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time{})
}

// ended waits until the server has ended a connection of NATS.
func ended(ctx context.Context, nc *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	closed := nc.StatusChanged(nats.CLOSED)
	for !nc.IsClosed() {
		select {
		case <-closed:
		case <-ctx.Done():
			return errors.New("the server did not end the connection")
		}
	}
	return nil
}
