package hydra

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"time"

	"github.com/hydrawalk/hydra/internal/owner"
	"github.com/hydrawalk/hydra/internal/runas"
)

// Account is a user as whom commands run on a client's host: see [WorkOptions.RunAs]. Of a
// nil one all methods may be called too: then they run as whoever runs this process.
type Account struct {
	Name     string
	UID, GID uint32

	user *owner.Account
}

// Environ is the environment for a command: that of this process, without what it was given
// for itself. Of an account, HOME, USER, LOGNAME and SHELL are its own, and what belongs to
// the login of whoever runs this process is left out.
func (a *Account) Environ() []string {
	if a == nil {
		return runas.Environ(os.Environ(), nil)
	}
	return runas.Environ(os.Environ(), a.user)
}

// Set lets a command that is not started yet run as the account, in a session of its own.
// It is to be called when cmd.SysProcAttr is set, and changes it.
func (a *Account) Set(cmd *exec.Cmd) {
	if a != nil {
		runas.Set(cmd, a.user)
	}
}

// accountTime is how long it may take to find a user: a directory service may hang.
const accountTime = time.Minute

// newAccount finds a user as whom commands are to run.
func newAccount(ctx context.Context, name string) (*Account, error) {
	ctx, cancel := context.WithTimeout(ctx, accountTime)
	defer cancel()
	if runtime.GOOS == "windows" {
		return nil, &UsageError{errors.New("commands can not run as another user on this system")}
	}
	user, err := owner.AccountOf(ctx, name)
	if err == nil {
		err = runas.Check(user)
	}
	if err != nil {
		return nil, &UsageError{fmt.Errorf("run commands as %q: %w", name, err)}
	}
	return &Account{Name: user.Name, UID: user.UID, GID: user.GID, user: user}, nil
}

// runsCommands tells whether commands of users may run under the rules.
func (r *hostRules) runsCommands(apps []Application) bool {
	return slices.ContainsFunc(apps, func(app Application) bool {
		info := app.Info()
		return info.Command && slices.Contains(r.allow, info.Name)
	})
}
