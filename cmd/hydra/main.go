// Command hydra walks file systems in parallel.
package main

import (
	"github.com/hydrawalk/hydra/apps/audit"
	"github.com/hydrawalk/hydra/apps/find"
	"github.com/hydrawalk/hydra/cli"
)

func main() { cli.Main(audit.App(), find.App()) }
