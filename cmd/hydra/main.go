// Command hydra walks file systems in parallel, on this machine or on many.
package main

import (
	"github.com/hydrawalk/hydra/apps/audit"
	"github.com/hydrawalk/hydra/apps/check"
	"github.com/hydrawalk/hydra/apps/exec"
	"github.com/hydrawalk/hydra/apps/find"
	"github.com/hydrawalk/hydra/apps/purge"
	"github.com/hydrawalk/hydra/cli"
)

func main() { cli.Main(audit.App(), check.App(), exec.App(), find.App(), purge.App()) }
