// Package runas lets commands run as another user of this host.
package runas

import (
	"slices"
	"strings"

	"github.com/hydrawalk/hydra/internal/owner"
)

// login are the beginnings of variables that belong to who has logged in, or to a program
// that he runs: nobody else is to use what they name.
var login = []string{"XDG_", "SUDO_", "DOAS_", "SSH_", "GPG_", "DBUS_", "KRB5", "MAIL=", "USERNAME=", "LOGNAME=", "USER=", "HOME=", "SHELL=", "PWD=", "OLDPWD="}

// own begins what this program was told for itself: a token is among that.
const own = "HYDRA_"

// Environ is the environment of a command that runs as a user, made of that of this
// process. nil: it runs as the same user.
func Environ(env []string, a *owner.Account) []string {
	var all []string
	for _, v := range env {
		begins := func(prefix string) bool { return strings.HasPrefix(v, prefix) }
		if begins(own) || a != nil && slices.ContainsFunc(login, begins) {
			continue
		}
		all = append(all, v)
	}
	if a == nil {
		return all
	}
	return append(all, "HOME="+a.Home, "USER="+a.Name, "LOGNAME="+a.Name, "SHELL="+a.Shell)
}
