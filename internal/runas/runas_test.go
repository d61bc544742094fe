package runas

import (
	"reflect"
	"testing"

	"github.com/hydrawalk/hydra/internal/owner"
)

func TestACommandGetsNothingThatIsAnothersOwn(t *testing.T) {
	env := []string{
		"PATH=/bin", "LANG=C", "HYDRA_TOKEN=secret", "HYDRA_SERVER=x", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/x",
		"XDG_RUNTIME_DIR=/run/0", "SSH_AUTH_SOCK=/run/a", "SUDO_USER=me", "DBUS_SESSION_BUS_ADDRESS=y", "KRB5CCNAME=z", "MAIL=m", "HOMES=/homes",
	}
	alice := &owner.Account{Name: "alice", Home: "/homes/alice", Shell: "/bin/zsh"}
	want := []string{"PATH=/bin", "LANG=C", "HOMES=/homes", "HOME=/homes/alice", "USER=alice", "LOGNAME=alice", "SHELL=/bin/zsh"}
	if got := Environ(env, alice); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	want = append(append([]string{}, env[:2]...), env[4:]...)
	if got := Environ(env, nil); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
