//go:build unix

package owner

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestAnAccountHasAllThatTheHostKnows(t *testing.T) {
	dir := fakeGetent(t, `echo "$@" >> $DIR/asked
case "$2" in
alice|1234) echo 'alice:x:1234:55:Alice:/homes/alice:/bin/zsh';;
bob) echo 'bob:x:1235:55:::';;
1235) echo '1235:x:77:55:::'; exit 0;;
broken) echo 'broken:x:1:4294967295:::';;
*) exit 2;;
esac`)
	id := "#!/bin/sh\ncase \"$2\" in\nalice) echo 55 100 55 9;;\nbob|broken) echo 55;;\n*) exit 1;;\nesac\n"
	if err := os.WriteFile(filepath.Join(dir, "id"), []byte(id), 0o777); err != nil {
		t.Fatal(err)
	}
	alice := &Account{Name: "alice", UID: 1234, GID: 55, Groups: []uint32{55, 100, 9}, Home: "/homes/alice", Shell: "/bin/zsh"}
	for user, want := range map[string]*Account{
		"alice": alice,
		"1234":  alice,
		"bob":   {Name: "bob", UID: 1235, GID: 55, Groups: []uint32{55}, Home: "/", Shell: "/bin/sh"},
	} {
		if got, err := AccountOf(t.Context(), user); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", user, got, err, want)
		}
	}
	for user, want := range map[string]string{
		"carol":      `there is no user "carol" here`,
		"1235":       `there is no user "1235" here`, // somebody's name, and no number
		"broken":     `look up the user "broken": "4294967295" is no number`,
		"":           `"" can not be the name`,
		"-G":         `"-G" can not be the name`,
		"a:b":        `"a:b" can not be the name`,
		"4294967295": `there is no user "4294967295" here`,
	} {
		if got, err := AccountOf(t.Context(), user); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want %s", user, got, err, want)
		}
	}
}

func TestAnAccountOfThisMachineIsFoundWithoutAnyProgram(t *testing.T) {
	t.Setenv("PATH", "")
	for _, user := range []string{"root", "0"} {
		a, err := AccountOf(t.Context(), user)
		if err != nil || a.Name != "root" || a.UID != 0 || a.GID != 0 || a.Groups[0] != 0 || a.Home == "" || a.Shell != "/bin/sh" {
			t.Errorf("%+v, %v", a, err)
		}
	}
}

func TestAnAccountWhoseGroupsAreNotKnownIsNone(t *testing.T) {
	dir := fakeGetent(t, `echo 'alice:x:1234:55:::'`)
	if err := os.WriteFile(filepath.Join(dir, "id"), []byte("#!/bin/sh\nexit 1\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	if a, err := AccountOf(t.Context(), "alice"); err == nil {
		t.Errorf("got %+v", a)
	}
}
