package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/hydrawalk/hydra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// Settings come, the first that says something wins, from
//
//	flags  ►  HYDRA_*  ►  the user's config.yaml  ►  the system's  ►  defaults
//
// A key of a file is the long name of a flag. A section, named as a command,
// holds those for it alone:
//
//	workers: 8
//	exclude: [.snapshot, "*.tmp"]
//	audit:
//	  block-size: 4096
//
// The command server has no section, for `server: ADDRESS` is where jobs run: its
// settings stand outside.

const envPrefix = "HYDRA_"

// onlyFlags belong to one call, not to a configuration.
// json is another word for a format, and local for no server.
var onlyFlags = []string{"help", "path-file", "prefix-file", "null", "output", "report", "errors", "json", "local", "once", "job", "resume", "yes", "ttl", "role"}

func configurable(f *pflag.Flag) bool {
	return !slices.Contains(onlyFlags, f.Name) && !hydra.IsOnlyGiven(f)
}

// configFiles are those of the user and of the system, in this order.
func configFiles(getenv func(string) string) []string {
	var files []string
	if dir := getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		files = append(files, filepath.Join(dir, "hydra", "config.yaml"))
	} else if runtime.GOOS == "windows" {
		files = append(files, filepath.Join(getenv("AppData"), "hydra", "config.yaml"))
	} else if home := getenv("HOME"); home != "" {
		files = append(files, filepath.Join(home, ".config", "hydra", "config.yaml"))
	}
	if runtime.GOOS == "windows" {
		return append(files, filepath.Join(getenv("ProgramData"), "hydra", "config.yaml"))
	}
	return append(files, "/etc/hydra/config.yaml")
}

// setting is a value that a configuration gives to a flag.
type setting struct {
	values []string
	origin string // for people: a file and line, or a variable
}

// config is what one file says.
type config struct {
	general  map[string]setting            // for every command
	sections map[string]map[string]setting // by command
}

// configError says which line of which file is wrong.
type configError struct {
	file string
	line int
	err  error
}

func (e *configError) Error() string {
	if e.line == 0 {
		return e.file + ": " + e.err.Error()
	}
	return fmt.Sprintf("%s:%d: %v", e.file, e.line, e.err)
}

// readConfigs reads the files that are there. flags are those of each command,
// which has a section; what every command has may stand outside of them. shared
// says that there may be sections of other programs' applications.
func readConfigs(files []string, flags map[string]*pflag.FlagSet, shared bool) ([]*config, error) {
	var configs []*config
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if errors.Is(err, fs.ErrPermission) && file != files[len(files)-1] { // the user's own
			return nil, fmt.Errorf("%w: set HOME or XDG_CONFIG_HOME to whose settings are meant", err)
		}
		if err != nil {
			return nil, err
		}
		c, err := parseConfig(file, text, flags, shared)
		if err != nil {
			return nil, err
		}
		configs = append(configs, c)
	}
	return configs, nil
}

func parseConfig(file string, text []byte, flags map[string]*pflag.FlagSet, shared bool) (*config, error) {
	c := &config{sections: map[string]map[string]setting{}}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, &configError{file, 0, err}
	}
	if len(doc.Content) == 0 {
		return c, nil // nothing but comments
	}
	top := doc.Content[0]
	general := generalFlags()
	in := func(set *pflag.FlagSet) func(key string) bool {
		return func(key string) bool { f := set.Lookup(key); return f != nil && configurable(f) }
	}
	var err error
	c.general, err = parseSection(file, top, in(general), func(name string, section *yaml.Node) (bool, error) {
		set := flags[name]
		if set == nil {
			return shared && section.Kind == yaml.MappingNode, nil
		}
		if _, twice := c.sections[name]; twice {
			return true, &configError{file, section.Line, fmt.Errorf("there are two sections %s", name)}
		}
		settings, err := parseSection(file, section, in(set), nil)
		c.sections[name] = settings
		return true, err
	})
	return c, err
}

// generalFlags are those that may be set outside of sections: what every
// application has, and what the command server has.
func generalFlags() *pflag.FlagSet {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	newCommon().define(set)
	new(serving).define(set)
	return set
}

// parseSection reads the settings of a mapping. sub is asked for keys that may
// be sections.
func parseSection(file string, node *yaml.Node, known func(string) bool, sub func(string, *yaml.Node) (bool, error)) (map[string]setting, error) {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return nil, nil // a section without settings
	}
	if node.Kind != yaml.MappingNode {
		return nil, &configError{file, node.Line, errors.New("settings are expected here, as `workers: 8`")}
	}
	settings := map[string]setting{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if _, twice := settings[key.Value]; twice {
			return nil, &configError{file, key.Line, fmt.Errorf("%s is set twice", key.Value)}
		}
		if sub != nil {
			if is, err := sub(key.Value, value); is || err != nil {
				if err != nil {
					return nil, err
				}
				continue
			}
		}
		if !known(key.Value) {
			return nil, &configError{file, key.Line, fmt.Errorf("unknown key %q", key.Value)}
		}
		s := setting{origin: fmt.Sprintf("%s:%d", file, key.Line)}
		items := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			items = value.Content
		}
		for _, item := range items {
			if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
				return nil, &configError{file, item.Line, fmt.Errorf("%s: a value is expected", key.Value)}
			}
			s.values = append(s.values, item.Value)
		}
		settings[key.Value] = s
	}
	return settings, nil
}

// originFlag is the origin of what was given on the command line.
const originFlag = "flag"

// origins tells where the value of each flag of a command comes from; what is
// not in it is a default.
type origins map[string]string

// configure sets the flags of a command that were not given to what the
// environment or the files say.
func configure(command string, flags *pflag.FlagSet, getenv func(string) string, configs []*config) (origins, error) {
	from := origins{}
	var first error
	flags.VisitAll(func(f *pflag.Flag) {
		if first != nil || !configurable(f) {
			return
		}
		if f.Changed {
			from[f.Name] = originFlag
			return
		}
		s, ok := lookup(command, f.Name, getenv, configs)
		if !ok {
			return
		}
		if err := setLower(f, s.values); err != nil {
			first = fmt.Errorf("%s: %s: %w", s.origin, f.Name, err)
		}
		from[f.Name] = s.origin
	})
	return from, first
}

func lookup(command, flag string, getenv func(string) string, configs []*config) (setting, bool) {
	variable := envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
	if value := getenv(variable); value != "" {
		return setting{strings.Split(value, "\n"), variable}, true
	}
	for _, c := range configs {
		if s, ok := c.sections[command][flag]; ok {
			return s, true
		}
		if s, ok := c.general[flag]; ok {
			return s, true
		}
	}
	return setting{}, false
}

// setLower sets a flag without making it look as if it was given.
func setLower(f *pflag.Flag, values []string) error {
	set := f.Value.Set
	switch value := f.Value.(type) {
	case *ruleFlag:
		set = value.setLower
	case pflag.SliceValue:
		return value.Replace(values)
	default:
		if len(values) != 1 {
			return errors.New("one value is expected")
		}
		if values[0] == f.DefValue {
			return nil // as it is shown where nothing is set; given, it may be refused
		}
	}
	for _, v := range values {
		if err := set(v); err != nil {
			return fmt.Errorf("%q: %w", v, err)
		}
	}
	return nil
}
