package exec

import (
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"github.com/hydrawalk/hydra"
	"golang.org/x/sys/windows"
)

// group is a command and what it has started: a job object, which the system ends when
// this process dies.
type group struct {
	job     windows.Handle // 0: there is none
	process *os.Process
}

func setGroup(cmd *exec.Cmd) {
	// A Ctrl-C on the console is for us alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

func start(cmd *exec.Cmd, _ *hydra.Account) (group, error) {
	if err := cmd.Start(); err != nil {
		return group{}, err
	}
	return group{newJob(cmd.Process.Pid), cmd.Process}, nil
}

// newJob makes a job object of a process; 0 if it can not.
func newJob(pid int) windows.Handle {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0
	}
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE},
	}
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err == nil {
		var p windows.Handle
		if p, err = windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(pid)); err == nil {
			err = windows.AssignProcessToJobObject(job, p)
			windows.CloseHandle(p)
		}
	}
	if err != nil {
		windows.CloseHandle(job)
		return 0
	}
	return job
}

// terminate ends it at once: there is no signal to ask it.
func (g group) terminate() { g.kill() }

func (g group) kill() {
	if g.job != 0 {
		_ = windows.TerminateJobObject(g.job, 1)
		return
	}
	_ = g.process.Kill()
}

func (g group) close() {
	if g.job != 0 {
		windows.CloseHandle(g.job)
	}
}

func status(s *os.ProcessState) (code int, signal string) { return s.ExitCode(), "" }
