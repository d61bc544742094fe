package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/hydrawalk/hydra"
	"github.com/spf13/pflag"
)

// access are the flags that say how to prove to a server who one is.
type access struct {
	creds, tokenFile, tlsCA, tlsCert, tlsKey string

	tokenGiven bool // by read
}

// accessFlags are their names.
var accessFlags = []string{"creds", "token-file", "tls-ca", "tls-cert", "tls-key"}

func (a *access) define(f *pflag.FlagSet) {
	f.StringVar(&a.creds, "creds", "", "read the credential for the server from `FILE`; your own servers, and those that you joined, are known without; for an engine that runs elsewhere, creds or an nkey of NATS do too")
	f.StringVar(&a.tokenFile, "token-file", "", "join the server with the token in `FILE`, - is standard input, unless that is done already; HYDRA_TOKEN has the token itself")
	a.defineTLS(f, "take servers with a certificate of the CA in `FILE`, in PEM, instead of those of a server's own CA",
		"show the certificate in `FILE` to the server, in PEM; needs --tls-key", "read the key of --tls-cert from `FILE`")
}

// defineTLS defines the flags for certificates of the site's own CA.
func (a *access) defineTLS(f *pflag.FlagSet, ca, cert, key string) {
	f.StringVar(&a.tlsCA, "tls-ca", "", ca)
	f.StringVar(&a.tlsCert, "tls-cert", "", cert)
	f.StringVar(&a.tlsKey, "tls-key", "", key)
}

// tokenVariable is where a token may be too. It is not left there: what is started later
// is not to have it.
const tokenVariable = "HYDRA_TOKEN"

// mostToken is how much of a file is read for a token.
const mostToken = 4 << 10

// read is what the flags say, with the token itself.
func (a *access) read(p *program) (hydra.Access, error) {
	all := hydra.Access{Creds: a.creds, TLSCA: a.tlsCA, TLSCert: a.tlsCert, TLSKey: a.tlsKey}
	all.Token = p.getenv(tokenVariable)
	os.Unsetenv(tokenVariable)
	a.tokenGiven = a.tokenFile != "" || all.Token != ""
	if a.tokenFile == "" {
		return all, nil
	}
	if strings.HasPrefix(a.tokenFile, "hydra1.") {
		return all, &hydra.UsageError{Err: errors.New("--token-file is the name of a file, and this is a token: put it into one, for others can read command lines; revoke this one")}
	}
	text, err := readToken(a.tokenFile, p.stdin)
	if err != nil {
		return all, &hydra.UsageError{Err: fmt.Errorf("--token-file: %w", err)}
	}
	all.Token = text
	return all, nil
}

func readToken(file string, stdin io.Reader) (string, error) {
	in, what := stdin, "standard input"
	if file != "-" {
		what = file
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, mostToken+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > mostToken:
		return "", fmt.Errorf("%s is too long for a token", what)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", fmt.Errorf("%s is empty", what)
	}
	return token, nil
}

// flags are those for a command line that is shown, but for the token: it is not needed
// any more.
func (a *access) flags() string {
	var text strings.Builder
	for _, f := range [][2]string{{"creds", a.creds}, {"tls-ca", a.tlsCA}, {"tls-cert", a.tlsCert}, {"tls-key", a.tlsKey}} {
		if f[1] != "" {
			text.WriteString(" --" + f[0] + " " + shellWord(f[1]))
		}
	}
	return text.String()
}

// adviseToJoin adds to an error what to do about a server that does not let us in.
func (c *call) adviseToJoin(err error, role string) error {
	if !errors.Is(err, hydra.ErrUnauthorized) || c.tokenGiven {
		return err // what is wrong with a token it says itself
	}
	return fmt.Errorf("%w. %s", err, c.howToJoin(err, role))
}

// howToJoin says what to do about a server that does not let us in.
func (c *call) howToJoin(err error, role string) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "Name one with --creds that you may read"
	case c.tlsCert != "":
		return "Is the certificate in " + printable(c.tlsCert) + " one of the server's --tls-ca, with hydra-" + role + " as organisational unit?"
	case c.creds != "":
		return "The file " + printable(c.creds) + " is not of this server: name another with --creds"
	}
	return fmt.Sprintf("Let who runs the server make a token, with `%s token create --role %s`, and name a file with it as --token-file", c.name, role)
}
