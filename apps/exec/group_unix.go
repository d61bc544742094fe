//go:build unix

package exec

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"

	"github.com/hydrawalk/hydra"
	"golang.org/x/sys/unix"
)

// group is a command and what it has started, as far as that stays in its group.
type group struct {
	id    int
	guard *guard
}

// setGroup lets a command begin a group.
func setGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
}

// start starts a command. If this process dies, its group is killed.
func start(cmd *exec.Cmd, as *hydra.Account) (group, error) {
	g := guardOf(as)
	if err := cmd.Start(); err != nil {
		return group{}, err
	}
	g.tell('+', cmd.Process.Pid)
	return group{cmd.Process.Pid, g}, nil
}

func (g group) terminate() { _ = syscall.Kill(-g.id, syscall.SIGTERM) } // it may be gone

// kill kills what is left. If that is nothing, nobody else has got the number yet: the
// system gives numbers one after the other.
func (g group) kill() { _ = syscall.Kill(-g.id, syscall.SIGKILL) }

func (g group) close() { g.guard.tell('-', g.id) }

// status says how a command ended.
func status(s *os.ProcessState) (code int, signal string) {
	ws, ok := s.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		if signal = unix.SignalName(ws.Signal()); signal == "" {
			signal = strconv.Itoa(int(ws.Signal()))
		}
		return 0, signal
	}
	return s.ExitCode(), ""
}

// guard is a process that kills what runs when this one dies, by whatever signal. It
// is told which groups there are, and sees the end of the pipe.
type guard struct {
	mu   sync.Mutex
	pipe *os.File // nil: there is none
}

// guardScript gets lines "+ GROUP" and "- GROUP"; no name of a file comes here.
const guardScript = `g=' '
while read -r op p; do
	case $op in
	+) g="$g$p ";;
	-) case $g in *" $p "*) g="${g%%" $p "*} ${g#*" $p "}";; esac;;
	esac
done
for p in $g; do kill -s KILL -- "-$p" 2>/dev/null; done
:`

// guards are those of this process, by as whom they run.
var guards struct {
	sync.Mutex
	of map[*hydra.Account]*guard
}

// guardOf is the guard of commands that run as somebody. That of root may kill all; another
// one has no capabilities, whatever this process has, and is somebody too.
func guardOf(as *hydra.Account) *guard {
	if os.Geteuid() == 0 {
		as = nil
	}
	guards.Lock()
	defer guards.Unlock()
	g := guards.of[as]
	if g == nil {
		if g = newGuard(as); guards.of == nil {
			guards.of = map[*hydra.Account]*guard{}
		}
		guards.of[as] = g
	}
	return g
}

// newGuard starts a guard. Without sh there is none: then only the commands
// themselves die with this process, where the system does that.
func newGuard(as *hydra.Account) *guard {
	g := new(guard)
	r, w, err := os.Pipe()
	if err != nil {
		return g
	}
	defer r.Close()
	cmd := exec.Command("sh", "-c", guardScript)
	cmd.Dir, cmd.Stdin, cmd.Env = "/", r, []string{"PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what ends this group is not for it
	as.Set(cmd)
	if cmd.Start() != nil {
		w.Close()
		return g
	}
	go func() { _ = cmd.Wait() }() // for as long as this process lives
	g.pipe = w
	return g
}

func (g *guard) tell(op byte, pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pipe == nil {
		return
	}
	if _, err := fmt.Fprintf(g.pipe, "%c %d\n", op, pid); err != nil {
		g.pipe.Close() // somebody killed it
		g.pipe = nil
	}
}
