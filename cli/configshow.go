package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// configCommand shows the configuration.
func (p *program) configCommand() *cobra.Command {
	config := &cobra.Command{
		Use:   "config",
		Short: "Show the settings that apply",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	origin := false
	show := &cobra.Command{
		Use:   "show",
		Short: "Print all settings as a config.yaml",
		Long: `Print the settings that apply when no flags are given, in the form of a
config.yaml. The first place that sets something wins: flags, variables
HYDRA_NAME (as HYDRA_MAX_DEPTH for --max-depth; of a list, each value on a
line of its own), then the files

` + indented(p.configFiles) + `
Settings of one command stand in a section with its name.`,
		Example: `  # what applies, and where it comes from
  ` + p.name + ` config show --origin

  # begin a configuration of your own, to be looked through and put in its place
  ` + p.name + ` config show > config.yaml`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return p.showConfig(p.stdout, origin) },
	}
	show.Flags().BoolVar(&origin, "origin", false, "tell where each value comes from")
	config.AddCommand(show)
	return config
}

// showConfig prints what commands have in common, then a section for each
// application, and for clients: what it has beside that, or what is set
// differently for it.
func (p *program) showConfig(w io.Writer, origin bool) error {
	sets := p.flagSets()
	configs, err := readConfigs(p.configFiles, sets, p.sharesConfig())
	if err != nil {
		return err
	}
	general := generalFlags()
	from, err := configure("", general, p.getenv, configs)
	if err != nil {
		return err
	}
	doc := &yaml.Node{Kind: yaml.MappingNode}
	shown := map[string]string{}
	general.VisitAll(func(f *pflag.Flag) {
		if configurable(f) {
			shown[f.Name] = addSetting(doc, f, from, origin)
		}
	})
	for _, name := range p.sections() {
		from, err := configure(name, sets[name], p.getenv, configs)
		if err != nil {
			return err
		}
		section := &yaml.Node{Kind: yaml.MappingNode}
		sets[name].VisitAll(func(f *pflag.Flag) {
			if before, general := shown[f.Name]; configurable(f) && (!general || before != settingText(f)) {
				addSetting(section, f, from, origin)
			}
		})
		if len(section.Content) > 0 {
			doc.Content = append(doc.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, section)
		}
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	return failed(errors.Join(e.Encode(doc), e.Close()))
}

// addSetting appends a flag to a mapping and returns its value as a text.
func addSetting(to *yaml.Node, f *pflag.Flag, from origins, origin bool) string {
	value := &yaml.Node{}
	values, isList := listOf(f)
	if isList {
		value.Kind, value.Style = yaml.SequenceNode, yaml.FlowStyle
		for _, v := range values {
			item := &yaml.Node{}
			item.SetString(v)
			value.Content = append(value.Content, item)
		}
	} else {
		value.Kind, value.Value = yaml.ScalarNode, f.Value.String()
		if !slices.Contains([]string{"int", "int64", "bool", "count"}, f.Value.Type()) {
			value.SetString(f.Value.String())
		}
	}
	if origin {
		value.LineComment = "default"
		if o := from[f.Name]; o != "" {
			value.LineComment = o
		}
	}
	to.Content = append(to.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: f.Name}, value)
	return settingText(f)
}

func settingText(f *pflag.Flag) string {
	if values, isList := listOf(f); isList {
		return fmt.Sprintf("%q", values)
	}
	return f.Value.String()
}

func listOf(f *pflag.Flag) ([]string, bool) {
	switch v := f.Value.(type) {
	case *ruleFlag:
		return v.values(), true
	case pflag.SliceValue:
		return v.GetSlice(), true
	}
	return nil, false
}

func indented(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("  " + l + "\n")
	}
	return b.String()
}
