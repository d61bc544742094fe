package runas

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/hydrawalk/hydra/internal/owner"
	"golang.org/x/sys/unix"
)

var other = &owner.Account{Name: "other", UID: 65534, GID: 65533, Groups: []uint32{65533, 12345}}

// TestMain is also the process of a user with capabilities, which tells what is left of
// them for a command.
func TestMain(m *testing.M) {
	if os.Getenv("RUNAS_CHECK") == "" {
		os.Exit(m.Run())
	}
	if err := Check(other); err != nil {
		os.Stdout.WriteString(err.Error())
		os.Exit(3)
	}
	cmd := exec.Command("grep", "-E", "^(Cap(Prm|Eff|Amb)|Uid|Gid|Groups)", "/proc/self/status")
	Set(cmd, other)
	out, err := cmd.CombinedOutput()
	os.Stdout.Write(out)
	if err != nil {
		os.Stdout.WriteString(err.Error())
		os.Exit(4)
	}
	os.Exit(0)
}

// checked is what a process of a user with ambient capabilities says.
func checked(t *testing.T, uid uint32, ambient ...uintptr) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	self, err := os.Open("/proc/self/exe") // others may not go where it lies
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	cmd := exec.Command("/proc/self/fd/3")
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{self}
	cmd.Env = []string{"RUNAS_CHECK=1", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}, AmbientCaps: ambient}
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Skip(err) // not everywhere may root do that
	}
	if strings.HasSuffix(string(out), "operation not supported") {
		t.Skip("with cgo there is no way to give up ambient capabilities")
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

func TestACommandOfAnotherUserHasNoRightsButHis(t *testing.T) {
	for _, c := range []struct {
		uid  uint32
		caps []uintptr
	}{
		{0, nil},
		{65000, []uintptr{unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_KILL, unix.CAP_DAC_READ_SEARCH}},
	} {
		const none = "0000000000000000"
		want := "Uid: 65534 65534 65534 65534 Gid: 65533 65533 65533 65533 Groups: 12345 65533 CapPrm: " + none + " CapEff: " + none + " CapAmb: " + none
		if got := checked(t, c.uid, c.caps...); got != want {
			t.Errorf("of user %d:\n%s, want\n%s", c.uid, got, want)
		}
	}
}

func TestWhoCanNotBeAnotherUserIsTold(t *testing.T) {
	all := []uintptr{unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_KILL}
	for missing := range all {
		var caps []uintptr
		for i, c := range all {
			if i != missing {
				caps = append(caps, c)
			}
		}
		const want = "this process, of user 65000, can not run commands as other: it has to be root, or have the capabilities CAP_SETUID, CAP_SETGID and CAP_KILL: operation not permitted"
		if got := checked(t, 65000, caps...); got != want {
			t.Errorf("without capability %d: %s", all[missing], got)
		}
	}
	if got := checked(t, 65534); got != "this process runs as other already" {
		t.Errorf("as himself: %s", got)
	}
}
