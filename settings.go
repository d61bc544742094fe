package hydra

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/internal/wire"
	"github.com/spf13/pflag"
)

// SettingsHandler may be implemented by a handler that keeps something of its
// worker's settings. Worker.Settings are changed while the handler is in no call.
type SettingsHandler[C any] interface {
	// SettingsChanged is called on the handler's own goroutine when the settings
	// were changed; before is what they were. An error fails the job: what is to be
	// refused, App.Change refuses before anybody is told.
	SettingsChanged(before C) error
}

// ofOneCall is the annotation of flags that were named to OnlyGiven.
const ofOneCall = "hydra_of_one_call"

// OnlyGiven says of flags that they have to be given with each call: neither a
// configuration file nor the environment sets them. Such are those that let an
// application change files.
func OnlyGiven(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		if err := flags.SetAnnotation(name, ofOneCall, []string{"true"}); err != nil {
			panic(err) // it is not defined
		}
	}
}

// IsOnlyGiven tells whether OnlyGiven was said of a flag.
func IsOnlyGiven(f *pflag.Flag) bool { return len(f.Annotations[ofOneCall]) > 0 }

// general sets what every job has. False: the key is another one.
func general(set *wire.Set, kv Setting) (bool, error) {
	bad := func(what string) error { return fmt.Errorf("%s=%s: %s", kv.Key, kv.Value, what) }
	switch key := kv.Key; {
	case key == "priority":
		n, err := strconv.Atoi(kv.Value)
		if err != nil || n < 1 || n > maxPriority {
			return true, bad(fmt.Sprintf("a number from 1 to %d is expected", maxPriority))
		}
		set.Priority = n
	case key == "max-errors":
		n, err := strconv.ParseInt(kv.Value, 10, 64)
		if err != nil || n < 0 {
			return true, bad("a number is expected; 0 sets no limit")
		}
		set.MaxErrors = &n
	case key == "limit-ops":
		n, err := strconv.ParseFloat(kv.Value, 64)
		if err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) {
			return true, bad("a number of calls per second is expected; 0 sets no limit")
		}
		set.LimitOps = &n
	case key == "target-latency":
		d, err := time.ParseDuration(kv.Value)
		if kv.Value == "0" {
			d, err = 0, nil
		}
		if err != nil || d < 0 {
			return true, bad("a time is expected, as 5ms; 0 sets none")
		}
		set.Latency = &d
	case key == "log" || strings.HasPrefix(key, "log."):
		name := strings.TrimPrefix(strings.TrimPrefix(key, "log"), ".")
		level := kv.Value
		if level == "default" {
			level = ""
		} else if err := new(slog.Level).UnmarshalText([]byte(level)); err != nil {
			return true, bad("debug, info, warn, error or default is expected")
		}
		set.Levels[name] = level // the server knows the names
	case key == "workers":
		return true, bad("the command `job workers` sets how many there are")
	default:
		return false, nil
	}
	return true, nil
}

// generalKeys are those that every job has.
var generalKeys = []string{"priority", "max-errors", "limit-ops", "target-latency", "log", "log.NAME"}

// change sets settings of the application by their names.
func (a *App[C, S]) change(now []byte, set []Setting) ([]byte, error) {
	return a.changeBy(now, func(c *C) error {
		for _, kv := range set {
			if err := a.setOne(c, kv); err != nil {
				return err
			}
		}
		return nil
	})
}

// changeBy lets f change settings, and checks them. Errors are those of a wrong
// call.
func (a *App[C, S]) changeBy(now []byte, f func(*C) error) ([]byte, error) {
	before, after := a.Settings, a.Settings
	if err := json.Unmarshal(now, &before); err != nil {
		return nil, fmt.Errorf("the settings of the job: %w", err)
	}
	if err := json.Unmarshal(now, &after); err != nil {
		return nil, fmt.Errorf("the settings of the job: %w", err)
	}
	err := f(&after)
	if err == nil && a.Prepare != nil {
		err = a.Prepare(&after)
	}
	if err == nil && a.Change != nil {
		err = a.Change(before, after)
	}
	if err == nil {
		err = a.check(after)
	}
	if err != nil {
		return nil, &UsageError{err}
	}
	return json.Marshal(after)
}

// setOne sets one setting: a flag's, or else a field of the JSON.
func (a *App[C, S]) setOne(c *C, kv Setting) error {
	flags := pflag.NewFlagSet(a.Name, pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	if a.Flags != nil {
		held := *c
		a.Flags(flags, c)
		*c = held // to define a flag sets its default
	}
	if f := flags.Lookup(kv.Key); f != nil {
		if err := f.Value.Set(kv.Value); err != nil {
			return fmt.Errorf("%s=%s: %w", kv.Key, kv.Value, err)
		}
		return nil
	}
	fields, err := fieldsOf(c)
	if err != nil {
		return err
	}
	if _, has := fields[kv.Key]; !has {
		keys := map[string]bool{}
		flags.VisitAll(func(f *pflag.Flag) { keys[f.Name] = true })
		for key := range fields {
			if !keys[strings.ReplaceAll(key, "_", "-")] {
				keys[key] = true
			}
		}
		for _, key := range generalKeys {
			keys[key] = true
		}
		return fmt.Errorf("%s has no setting %q: there are %s", a.Name, kv.Key, keysOf(keys))
	}
	// As JSON if it is that, else as text.
	var wrong error
	if json.Valid([]byte(kv.Value)) {
		if wrong = setField(c, kv.Key, []byte(kv.Value)); wrong == nil {
			return nil
		}
	}
	text, err := json.Marshal(kv.Value)
	if err == nil {
		err = setField(c, kv.Key, text)
	}
	if err != nil {
		return fmt.Errorf("%s=%s: %w", kv.Key, kv.Value, cmp.Or(wrong, err))
	}
	return nil
}

// fieldsOf are the fields of settings in JSON.
func fieldsOf(c any) (map[string]json.RawMessage, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{}
	return fields, json.Unmarshal(text, &fields)
}

// setField sets one of these fields. An error leaves c as it was.
func setField[C any](c *C, key string, value []byte) error {
	fields, err := fieldsOf(c)
	if err != nil {
		return err
	}
	fields[key] = value
	text, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	var after C // not *c: what is decoded into a map is added to it
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&after); err != nil {
		return err
	}
	*c = after
	return nil
}
