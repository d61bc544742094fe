package natsd

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

func TestOnlyTheLoopbackIsListenedOn(t *testing.T) {
	for _, listen := range []string{
		"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:4222", "localhost:4222", "example.com:4222", "[::ffff:192.0.2.1]:0",
	} {
		_, err := Start(Options{Listen: listen, StateDir: t.TempDir(), User: "u", Password: "p"})
		if !errors.Is(err, ErrLoopback) {
			t.Errorf("%s: %v", listen, err)
		}
	}
	for _, listen := range []string{"127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:-1"} {
		if _, err := Start(Options{Listen: listen, User: "u", Password: "p"}); err == nil {
			t.Errorf("%s is listened on", listen)
		}
	}
	for _, o := range []Options{{User: "u"}, {Password: "p"}, {}} {
		o.Listen = "127.0.0.1:0"
		if _, err := Start(o); err == nil || !strings.Contains(err.Error(), "password") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestCredentialsAreRequired(t *testing.T) {
	s := start(t, Options{Listen: "127.0.0.1:0", User: "u", Password: "p"})
	if _, err := nats.Connect(s.URL()); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("without any: %v", err)
	}
	if _, err := nats.Connect(s.URL(), nats.UserInfo("u", "x")); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("with a wrong one: %v", err)
	}
	nc, err := nats.Connect(s.URL(), nats.UserInfo("u", "p"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if nc.MaxPayload() != 8<<20 {
		t.Errorf("messages of up to %d bytes", nc.MaxPayload())
	}
}

func TestTwoServersShareNeitherAddressNorDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := start(t, Options{Listen: "127.0.0.1:0", StateDir: dir, User: "u", Password: "p"})
	_, err := Start(Options{Listen: s.Addr().String(), StateDir: filepath.Join(t.TempDir(), "state"), User: "u", Password: "p"})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), s.Addr().String()) {
		t.Errorf("address: %v", err)
	}
	_, err = Start(Options{StateDir: dir})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("directory: %v", err)
	}
	s.Shutdown()
	start(t, Options{StateDir: dir})
}

func TestTheStateDirectoryIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("has no modes")
	}
	dir := filepath.Join(t.TempDir(), "a", "state")
	s := start(t, Options{StateDir: dir})
	s.Shutdown()
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestWhatWasStoredIsThereAfterARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	with := func(f func(js jetstream.JetStream) error) {
		t.Helper()
		s := start(t, Options{StateDir: dir})
		defer s.Shutdown()
		nc, err := nats.Connect("", nats.InProcessServer(s))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		if err := f(js); err != nil {
			t.Fatal(err)
		}
	}
	with(func(js jetstream.JetStream) error {
		// More than there is of disk: no limit is made of what is free.
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, MaxBytes: 1 << 50})
		if err != nil {
			return err
		}
		_, err = js.Publish(t.Context(), "s", []byte("kept"))
		return err
	})
	with(func(js jetstream.JetStream) error {
		s, err := js.Stream(t.Context(), "S")
		if err != nil {
			return err
		}
		m, err := s.GetLastMsgForSubject(t.Context(), "s")
		if err == nil && string(m.Data) != "kept" {
			t.Errorf("%q", m.Data)
		}
		return err
	})
}

func TestNothingIsLeftWithoutAStateDirectory(t *testing.T) {
	s := start(t, Options{})
	dir := s.remove
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	if s.URL() != "" || s.Addr() != nil {
		t.Errorf("there is an address: %q", s.URL())
	}
	s.Shutdown()
	s.Shutdown()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s: %v", dir, err)
	}
}

func TestOnlyWarningsAreSaidAloud(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))
	s := start(t, Options{Listen: "127.0.0.1:0", User: "u", Password: "p", Log: log})
	if _, err := nats.Connect(s.URL(), nats.UserInfo("u", "x")); err == nil {
		t.Error("connected")
	}
	s.Shutdown()
	if out.Len() > 0 {
		t.Errorf("said: %s", out.Bytes())
	}
	if s.Err() != nil {
		t.Error(s.Err())
	}
	l := newLogger(log)
	l.Warnf("low on %s", "disk")
	l.Errorf("127.0.0.1:1 - cid:6 - authentication error")
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "low on disk") || !strings.Contains(got, "WARN") {
		t.Errorf("said: %s", got)
	}
}

func TestTrafficIsCounted(t *testing.T) {
	s := start(t, Options{})
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	before, err := s.Traffic()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := js.Publish(t.Context(), "s", []byte("12345678")); err != nil {
			t.Fatal(err)
		}
	}
	after, err := s.Traffic()
	if err != nil {
		t.Fatal(err)
	}
	if got := after.Writes - before.Writes; got != 3 {
		t.Errorf("%d writes, want 3", got)
	}
	if in, bytes := after.In-before.In, after.InBytes-before.InBytes; in != 3 || bytes < 24 {
		t.Errorf("%d messages with %d bytes came in, want 3 with 24 or more", in, bytes)
	}
	if after.Out <= before.Out || after.OutBytes <= before.OutBytes {
		t.Errorf("nothing was answered: %+v, then %+v", before, after)
	}
}

func TestADiskThatFailsIsTold(t *testing.T) {
	s := start(t, Options{})
	s.log.Errorf("Filestore [%s] Critical write error: %v", "T", errors.New("no space left on device"))
	select {
	case <-s.Failed():
	default:
		t.Error("the server has not failed")
	}
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("error %v", err)
	}
}
