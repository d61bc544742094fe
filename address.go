package hydra

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// address is where a server, or its engine, is.
type address struct {
	scheme string // of an engine that runs elsewhere; "": a server of ours
	host   string
	port   int
}

const defaultPort = 8101

// resolve understands HOST, HOST:PORT, and URLs of an engine.
func resolve(given string) (*address, error) {
	a := &address{port: defaultPort}
	bad := func(why string) error {
		shown := given
		if i := strings.LastIndexByte(given, '@'); i >= 0 {
			shown = "..." + given[i:] // what stands before it may be a secret
		}
		return &UsageError{fmt.Errorf("%q is no address of a server: %s", shown, why)}
	}
	const secret = "a secret does not belong into an address: put it into a file and name that with --creds"
	hostPort := given
	if strings.Contains(given, "://") {
		u, err := url.Parse(given)
		if err != nil {
			return nil, bad("use nats://HOST:PORT or tls://HOST:PORT")
		}
		if u.Scheme != "nats" && u.Scheme != "tls" {
			return nil, bad("HOST, HOST:PORT, or nats://HOST:PORT or tls://HOST:PORT for an engine that runs elsewhere")
		}
		a.scheme = u.Scheme
		if u.User != nil {
			return nil, bad(secret)
		}
		a.port, hostPort = 4222, u.Host
	}
	if strings.Contains(hostPort, "@") {
		return nil, bad(secret)
	}
	host, port, err := net.SplitHostPort(strings.ToLower(hostPort))
	if err != nil {
		host = strings.Trim(strings.ToLower(hostPort), "[]")
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return nil, bad("use HOST:PORT")
		}
	} else if a.port, err = strconv.Atoi(port); err != nil || a.port < 0 || a.port > 65535 {
		return nil, bad("the port is a number up to 65535")
	}
	if host == "" {
		return nil, bad("the host is missing")
	}
	if strings.ContainsAny(host, " \t\n/") {
		return nil, bad("use HOST:PORT")
	}
	if _, err := strconv.Atoi(host); err == nil {
		return nil, bad("that is only a port: use HOST:PORT")
	}
	if host == "localhost" {
		host = "127.0.0.1" // it is one server, by whatever name
	}
	a.host = host
	return a, nil
}

func (a *address) hostPort() string { return net.JoinHostPort(a.host, strconv.Itoa(a.port)) }
func (a *address) url() string      { return "nats://" + a.hostPort() }
func (a *address) shown() string    { return a.hostPort() }

// loopback tells whether nothing that is said there leaves this machine.
func (a *address) loopback() bool {
	ip := net.ParseIP(a.host)
	return ip != nil && ip.IsLoopback()
}

// setPort takes the port that the system chose.
func (a *address) setPort(at net.Addr) {
	if tcp, ok := at.(*net.TCPAddr); ok {
		a.port = tcp.Port
	}
}
