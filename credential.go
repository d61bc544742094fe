package hydra

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// address is where a server, or its engine, is.
type address struct {
	scheme string
	host   string
	port   int
}

const defaultPort = 8101

// resolve understands HOST, HOST:PORT, and URLs of an engine.
func resolve(given string) (*address, error) {
	a := &address{scheme: "nats", port: defaultPort}
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
			return nil, bad("use nats://HOST:PORT")
		}
		if u.Scheme != "nats" {
			return nil, bad("HOST, HOST:PORT, or nats://HOST:PORT for an engine that runs elsewhere")
		}
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
func (a *address) url() string      { return a.scheme + "://" + a.hostPort() }
func (a *address) shown() string    { return a.hostPort() }

// setPort takes the port that the system chose.
func (a *address) setPort(at net.Addr) {
	if tcp, ok := at.(*net.TCPAddr); ok {
		a.port = tcp.Port
	}
}

// credential is what a server wants to see.
type credential struct {
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	Token    string `json:"token,omitempty"`

	file string // of NATS
}

// userDir is a directory of the user: that of a variable of the XDG base
// directories, or else one below the home directory.
func userDir(variable, below string) (string, error) {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, "hydra"), nil
	}
	if runtime.GOOS == "windows" {
		if dir := os.Getenv("LocalAppData"); dir != "" {
			return filepath.Join(dir, "hydra"), nil
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no place for the user's files: set %s: %w", variable, err)
	}
	return filepath.Join(home, below, "hydra"), nil
}

// credentialFile is where the credential for an address is.
func credentialFile(a *address) (string, error) {
	dir, err := userDir("XDG_CONFIG_HOME", ".config")
	if err != nil {
		return "", err
	}
	name := strings.NewReplacer(":", "_", "%", "_", "/", "_").Replace(a.host) + "_" + strconv.Itoa(a.port) + ".json"
	return filepath.Join(dir, "servers", name), nil
}

// stateDir is where a server keeps its jobs.
func stateDir(a *address) (string, error) {
	dir, err := userDir("XDG_STATE_HOME", filepath.Join(".local", "state"))
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "server-"+strconv.Itoa(a.port)), nil
}

// findCredential is the credential for an address: of the named file, or the
// user's own.
func findCredential(a *address, file string) (credential, error) {
	given := file != ""
	if !given {
		var err error
		if file, err = credentialFile(a); err != nil {
			return credential{}, err
		}
	}
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !given:
		return credential{}, fmt.Errorf("this user has none for %s in %s", a.shown(), filepath.Dir(file))
	case err != nil:
		return credential{}, err
	}
	if err := isPrivate(file); err != nil {
		return credential{}, err
	}
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		if !bytes.Contains(text, []byte("BEGIN NATS USER JWT")) {
			return credential{}, fmt.Errorf("%s is no credential", file)
		}
		return credential{file: file}, nil
	}
	var c credential
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(&c); err != nil {
		return credential{}, fmt.Errorf("%s is no credential: %w", file, err)
	}
	if (c.User == "" || c.Password == "") && c.Token == "" {
		return credential{}, fmt.Errorf("%s is no credential: there are no user and password in it, and no token", file)
	}
	return c, nil
}

// isPrivate tells why others could read a secret.
func isPrivate(file string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	st, err := os.Stat(file)
	if err == nil && st.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("%s holds a secret and can be read by others: chmod 600 it", file)
	}
	return err
}

// credentialName is the file in a state directory that holds it.
const credentialName = "credential.json"

// ownCredential is what a server asks for: the same each time, so that clients
// find back after a restart.
func ownCredential(stateDir string) (credential, error) {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return credential{}, err
	}
	file := filepath.Join(stateDir, credentialName)
	text, err := os.ReadFile(file)
	if err == nil {
		var c credential
		if err := json.Unmarshal(text, &c); err == nil && c.User != "" && c.Password != "" {
			return c, isPrivate(file)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return credential{}, err
	}
	c := newCredential()
	return c, writePrivate(file, c)
}

func newCredential() credential {
	return credential{User: "hydra", Password: rand.Text() + rand.Text()}
}

// writeCredential lets commands and clients of this user find the credential.
func writeCredential(a *address, c credential) error {
	file, err := credentialFile(a)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return writePrivate(file, c)
}

func writePrivate(file string, secret any) error {
	text, err := json.Marshal(secret)
	if err != nil {
		return err
	}
	// Beside its place, and renamed: it is whole, and private from the start.
	f, err := os.CreateTemp(filepath.Dir(file), ".credential-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(text, '\n'))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	return err
}
