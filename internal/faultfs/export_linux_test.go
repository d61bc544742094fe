package faultfs

// Unmount is what the end of a test does.
var Unmount = unmount

// GuardPID is the process that unmounts when this one dies.
func (m *Mounted) GuardPID() int { return m.guard.pid }
