//go:build unix

package cli

import "golang.org/x/sys/unix"

// guardServer keeps what a server has from others: its files are its user's alone, and its
// memory, with keys and passwords, is never written to a core file. It starts no commands
// that would have to live with that, but those of an application's own part on the server.
func guardServer() error {
	unix.Umask(0o077)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	return guardMemory()
}

// guardClient does so for a client. A limit and a umask would go on to the commands that
// exec starts, which are to have those that the client was started with.
func guardClient() error { return guardMemory() }
