package cli

// guardServer and guardClient have nothing to do: the directories have the rights of the
// user's profile, and what is written of a process that crashes is for the administrator
// to say.
func guardServer() error { return guardMemory() }

func guardClient() error { return guardMemory() }
