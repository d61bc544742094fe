package hydra

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/hydrawalk/hydra/internal/trust"
)

// credential is what a server wants to see.
type credential struct {
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	Token    string `json:"token,omitempty"` // of an engine that runs elsewhere
	trust.Credential

	file string // of NATS, with a JWT
	nkey string // of NATS, with a seed
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

// credentialFile is where the credential for an address is. What a client joined with
// is kept apart from what commands of the same user have.
func credentialFile(a *address, client bool) (string, error) {
	dir, err := userDir("XDG_CONFIG_HOME", ".config")
	if err != nil {
		return "", err
	}
	name := strings.NewReplacer(":", "_", "%", "_", "/", "_").Replace(a.host) + "_" + strconv.Itoa(a.port)
	if client {
		name += ".client"
	}
	name += ".json"
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

// errNoCredential is of an address that the user has no credential for.
var errNoCredential = errors.New("no credential")

// findCredential is the credential for an address: of the named file, or the
// user's own, for clients or for commands.
func findCredential(a *address, file string, client bool) (credential, error) {
	if file != "" {
		return readCredential(file)
	}
	names := []bool{false}
	if client {
		names = []bool{true, false}
	}
	for _, client := range names {
		var err error
		if file, err = credentialFile(a, client); err != nil {
			return credential{}, err
		}
		c, err := readCredential(file)
		if !errors.Is(err, fs.ErrNotExist) {
			return c, err
		}
	}
	return credential{}, fmt.Errorf("%w: this user has none for %s in %s", errNoCredential, a.shown(), filepath.Dir(file))
}

func readCredential(file string) (credential, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return credential{}, err
	}
	if err := isPrivate(file); err != nil {
		return credential{}, err
	}
	c, err := parseCredential(text)
	if err != nil {
		return credential{}, fmt.Errorf("%s is no credential: %w", file, err)
	}
	if c.file != "" {
		c.file = file
	}
	if c.nkey != "" {
		c.nkey = file
	}
	return c, nil
}

// parseCredential reads what a file has: JSON of ours, or what NATS calls a creds file
// or an nkey, of which it only says so.
func parseCredential(text []byte) (credential, error) {
	trimmed := bytes.TrimSpace(text)
	switch {
	case bytes.Contains(text, []byte("BEGIN NATS USER JWT")):
		return credential{file: "given"}, nil
	case bytes.Contains(text, []byte("BEGIN USER NKEY SEED")), bytes.HasPrefix(trimmed, []byte("SU")):
		return credential{nkey: "given"}, nil
	case !bytes.HasPrefix(trimmed, []byte("{")):
		return credential{}, errors.New("neither JSON nor creds or an nkey of NATS")
	}
	var c credential
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(&c); err != nil {
		return credential{}, err
	}
	if in.More() {
		return credential{}, errors.New("there is more in it than one JSON object")
	}
	switch {
	case c.CA != "" && c.Certificate != "" && c.Key != "":
		if _, err := c.Identity(); err != nil {
			return credential{}, err
		}
	case c.CA != "" || c.Certificate != "" || c.Key != "":
		return credential{}, errors.New("ca, cert and key belong together")
	case (c.User == "" || c.Password == "") && c.Token == "":
		return credential{}, errors.New("there are no user and password in it, no token and no certificate")
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

// writeCredential lets commands, or clients alone, of this user find the credential.
func writeCredential(a *address, c credential, client bool) error {
	file, err := credentialFile(a, client)
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
	if _, err = f.Write(append(text, '\n')); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	return err
}
