package trust

import (
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sorted(s []string) []string {
	s = append([]string{}, s...)
	slices.Sort(s)
	return s
}

func TestARestartKeepsTheCA(t *testing.T) {
	s := serving(t)
	ca := s.ca.Raw
	c := s.member(t, s.token(t, Client, true), "host")
	files := func() map[string]fs.FileMode {
		modes := map[string]fs.FileMode{}
		if err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			st, err := d.Info()
			if err == nil {
				modes[filepath.Base(path)] = st.Mode()
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return modes
	}
	want := map[string]fs.FileMode{"trust": 0o700 | fs.ModeDir, "ca.pem": 0o600, "trust.json": 0o600}
	if diff := cmp.Diff(want, files()); diff != "" && runtime.GOOS != "windows" {
		t.Errorf("-want +got:\n%s", diff)
	}
	s.reopen(t)
	if string(s.ca.Raw) != string(ca) {
		t.Error("there is another CA")
	}
	if _, err := s.Identify(chainOf(t, c)); err != nil {
		t.Error(err)
	}
}

func TestTheDirectoryHoldsNoSecretOfATokenAndNoKeyButTheCAs(t *testing.T) {
	s := serving(t)
	_, text, err := s.CreateToken(Client, time.Hour, false)
	if err != nil {
		t.Fatal(err)
	}
	token, err := ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	s.member(t, token, "host")
	for _, file := range []string{caFile, stateName} {
		content, err := os.ReadFile(filepath.Join(s.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), text[len(text)-43:][:20]) {
			t.Errorf("%s has the secret", file)
		}
		if n := strings.Count(string(content), "PRIVATE KEY-----"); file == caFile && n != 2 || file == stateName && n != 0 {
			t.Errorf("%s has %d lines of keys", file, n)
		}
	}
}

func TestFilesThatAreNotAsTheyWereAreRefused(t *testing.T) {
	edit := func(file string, change func(string) string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			name := filepath.Join(dir, file)
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			changed := change(string(content))
			if changed == string(content) {
				t.Fatal("nothing was changed")
			}
			if err := os.WriteFile(name, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	do := func(f func(dir string) error) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := f(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace := func(old, by string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, by, 1) }
	}
	otherCA := newServer(t)
	for _, c := range []struct {
		name   string
		damage func(*testing.T, string)
		want   string // DIR is the directory
	}{
		{"no CA", do(func(dir string) error { return os.Remove(dir + "/ca.pem") }), "DIR/ca.pem is gone, and DIR/trust.json is there: bring it back from a copy"},
		{"no state", do(func(dir string) error { return os.Remove(dir + "/trust.json") }), "DIR/trust.json is gone, and DIR/ca.pem is there: bring it back from a copy"},
		{"no key", edit("ca.pem", func(s string) string { return s[strings.Index(s, "-----BEGIN CERT"):] }), `DIR/ca.pem is damaged, bring it back from a copy: there is a "CERTIFICATE" in the place of its PRIVATE KEY`},
		{"no certificate", edit("ca.pem", func(s string) string { return s[:strings.Index(s, "-----BEGIN CERT")] }), "DIR/ca.pem is damaged, bring it back from a copy: there is no CERTIFICATE in it"},
		{"an empty CA", edit("ca.pem", func(string) string { return "" }), "DIR/ca.pem is damaged, bring it back from a copy: there is no PRIVATE KEY in it"},
		{"another's key", edit("ca.pem", func(s string) string {
			other, err := os.ReadFile(otherCA.dir + "/ca.pem")
			if err != nil {
				t.Fatal(err)
			}
			at := strings.Index(string(other), "-----BEGIN CERT")
			return string(other)[:at] + s[strings.Index(s, "-----BEGIN CERT"):]
		}), "DIR/ca.pem is damaged, bring it back from a copy: its key is not that of its certificate"},
		{"noise in the key", edit("ca.pem", replace("MIG", "AIG")), "DIR/ca.pem is damaged, bring it back from a copy: its key can not be read"},
		{"something behind", edit("ca.pem", func(s string) string { return s + "x" }), "DIR/ca.pem is damaged, bring it back from a copy: something stands behind its CERTIFICATE"},
		{"something before", edit("ca.pem", func(s string) string { return "x\n" + s }), "DIR/ca.pem is damaged, bring it back from a copy: something stands before its PRIVATE KEY"},
		{"an empty state", edit("trust.json", func(string) string { return "" }), "DIR/trust.json is damaged, bring it back from a copy: unexpected end of JSON input"},
		{"half a state", edit("trust.json", func(s string) string { return s[:len(s)/2] }), "DIR/trust.json is damaged, bring it back from a copy: unexpected end of JSON input"},
		{"a later format", edit("trust.json", replace(`"format": 1`, `"format": 2`)), "DIR/trust.json is damaged, bring it back from a copy: its format is 2, and this version of hydra knows 1: use the version that wrote it"},
		{"an unknown field", edit("trust.json", replace(`"format": 1`, `"format": 1, "x": 1`)), `DIR/trust.json is damaged, bring it back from a copy: json: unknown field "x"`},
		{"an admin's token", edit("trust.json", replace(`"role": "client"`, `"role": "admin"`)), "DIR/trust.json is damaged, bring it back from a copy: token "},
		{"a short key", edit("trust.json", replace(`"key": "`, `"key": "AAAA`)), "DIR/trust.json is damaged, bring it back from a copy: token "},
		{"a host of two lines", edit("trust.json", replace(`"host": "`, `"host": "\n`)), "DIR/trust.json is damaged, bring it back from a copy: identity "},
		{"a directory", do(func(dir string) error {
			if err := os.Remove(dir + "/ca.pem"); err != nil {
				return err
			}
			return os.Mkdir(dir+"/ca.pem", 0o700)
		}), "DIR/ca.pem is no regular file"},
		{"a CA that others read", do(func(dir string) error { return os.Chmod(dir+"/ca.pem", 0o640) }), "DIR/ca.pem holds secrets, and others than its owner can use it: chmod 600 it"},
		{"a state that others write", do(func(dir string) error { return os.Chmod(dir+"/trust.json", 0o602) }), "DIR/trust.json holds secrets, and others than its owner can use it: chmod 600 it"},
		{"a directory that others list", do(func(dir string) error { return os.Chmod(dir, 0o755) }), "DIR holds secrets, and others than its owner can use it: chmod 700 it"},
	} {
		if runtime.GOOS == "windows" && strings.Contains(c.want, "chmod") {
			continue
		}
		s := newServer(t)
		s.token(t, Client, false)
		if _, err := s.Admin("host"); err != nil {
			t.Fatal(err)
		}
		c.damage(t, s.dir)
		_, err := Open(s.dir, s.options())
		if want := "open the server's CA: " + strings.ReplaceAll(c.want, "DIR", s.dir); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", c.name, err, want)
		}
	}
}

func TestAFirstStartThatWasKilledIsBegunAgain(t *testing.T) {
	s := newServer(t)
	if err := os.Remove(filepath.Join(s.dir, caFile)); err != nil { // it is written last
		t.Fatal(err)
	}
	for _, file := range []string{caFile, stateName} { // half written
		if err := os.WriteFile(filepath.Join(s.dir, file+".new"), []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.reopen(t)
	s.token(t, Client, false)
	s.reopen(t)
	if got := len(s.List()); got != 1 {
		t.Errorf("there are %d tokens, want 1", got)
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, "*.new")); err != nil || len(left) > 0 {
		t.Errorf("left: %q %v", left, err)
	}
}

func TestTheServersCertificateIsRenewedInTime(t *testing.T) {
	s := newServer(t)
	leaf := func() *x509.Certificate {
		t.Helper()
		c, err := s.Certificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Certificate) != 2 || string(c.Certificate[1]) != string(s.ca.Raw) {
			t.Error("the CA is not in the chain")
		}
		return c.Leaf
	}
	first := leaf()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1", host} {
		if _, err := first.Verify(x509.VerifyOptions{DNSName: name, Roots: s.pool(), CurrentTime: s.clock.Now()}); err != nil {
			t.Error(err)
		}
	}
	s.clock.move(59 * day)
	if second := leaf(); second != first {
		t.Error("after 59 days it is another one")
	}
	s.clock.move(2 * day)
	third := leaf()
	if third == first || samePublic(third.PublicKey, first.PublicKey) {
		t.Error("after 61 days it is the same one, or has the same key")
	}
	if want := s.clock.Now().Add(90 * day).UTC().Truncate(time.Second); !third.NotAfter.Equal(want) {
		t.Errorf("it expires at %s, want %s", third.NotAfter, want)
	}
	// It ends with its CA, and is not made anew in each handshake before that.
	s.clock.move(s.ca.NotAfter.Sub(s.clock.Now()) - time.Hour)
	last := leaf()
	if !last.NotAfter.Equal(s.ca.NotAfter) {
		t.Errorf("it expires at %s, and its CA at %s", last.NotAfter, s.ca.NotAfter)
	}
	s.clock.move(59 * time.Minute)
	if leaf() != last {
		t.Error("it is made anew, and lives no longer")
	}
	s.clock.move(2 * time.Minute)
	if _, err := s.Certificate(nil); err == nil || !strings.Contains(err.Error(), "the CA expired at ") {
		t.Errorf("after its CA has expired: %v", err)
	}
	if _, err := Open(s.dir, s.options()); err == nil || !strings.Contains(err.Error(), "move the directory "+s.dir+" away, and let all join anew") {
		t.Errorf("opened with a CA that has expired: %v", err)
	}
}

func TestNamesThatCanNotBeInACertificateAreKnown(t *testing.T) {
	for _, name := range []string{"", "a b", "a..b", ".", "häuser.example", "*.example", "a\nb", "127.0.0.1:8101", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 200)} {
		if canName(name) {
			t.Errorf("%q could be one", name)
		}
	}
	for _, name := range []string{"a", "node17.example", "node_17.example.", "192.0.2.7", "2001:db8::1"} {
		if !canName(name) {
			t.Errorf("%q could be none", name)
		}
	}
}

func TestAnAuthorityNeedsNoOptions(t *testing.T) {
	a, err := Open(filepath.Join(t.TempDir(), "a", "trust"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Admin("host")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Identify(chainOf(t, c)); err != nil {
		t.Error(err)
	}
}
