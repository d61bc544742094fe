// Command hydra walks file systems in parallel.
package main

import (
	"github.com/hydrawalk/hydra/apps/audit"
	"github.com/hydrawalk/hydra/apps/check"
	"github.com/hydrawalk/hydra/apps/exec"
	"github.com/hydrawalk/hydra/apps/purge"
	"github.com/hydrawalk/hydra/cli"
)

func main() { cli.Main(audit.App(), check.App(), exec.App(), purge.App()) }
