package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version, and what it was built with",
		Example: "  " + p.name + " version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(p.stdout, "%s %s\nbuilt with %s for %s/%s\n", p.name, version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			for _, app := range p.apps {
				if info := app.Info(); err == nil && info.Version != "" {
					_, err = fmt.Fprintf(p.stdout, "%s %s\n", info.Name, info.Version)
				}
			}
			return failed(err)
		},
	}
}

// version is the module's, as it was built.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
