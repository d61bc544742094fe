//go:build unix

package runas

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/hydrawalk/hydra/internal/owner"
)

// Check tells why this process can not run commands as a user, and end them. It gives up
// what such commands would inherit. To be called once, before there is any.
func Check(a *owner.Account) error {
	if err := mayKill(); err != nil {
		return because(a, err)
	}
	if err := giveUpAmbient(); err != nil {
		return because(a, err)
	}
	// The system changes the user first, and sees then that this is no program.
	p, err := os.StartProcess("/", []string{"/"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{Credential: credential(a)}})
	if err == nil {
		_, err = p.Wait()
		return because(a, errors.Join(errors.New("/ is a program"), err))
	}
	if !errors.Is(err, syscall.EACCES) {
		errno, _ := errors.AsType[syscall.Errno](err)
		return because(a, errno)
	}
	return nil
}

func because(a *owner.Account, err error) error {
	if int(a.UID) == os.Geteuid() {
		return fmt.Errorf("this process runs as %s already", a.Name)
	}
	return fmt.Errorf("this process, of user %d, can not run commands as %s: %s: %w", os.Geteuid(), a.Name, needs, err)
}

// Set lets a command run as a user, in a session of its own: no terminal of this process is
// its own too, to type into. It changes what cmd.SysProcAttr says of that.
func Set(cmd *exec.Cmd, a *owner.Account) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	s := cmd.SysProcAttr
	s.Credential, s.Setsid, s.Setpgid = credential(a), true, false
}

func credential(a *owner.Account) *syscall.Credential {
	return &syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: a.Groups}
}
