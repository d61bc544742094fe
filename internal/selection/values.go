package selection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hydrawalk/hydra"
)

// Globs are the values of --name. A glob is bytes, as a name is.
type Globs []Glob

// Glob is one of them.
type Glob string

// MarshalJSON implements [json.Marshaler]: a glob that is not UTF-8 is {"b64": its bytes}.
func (g Glob) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(g)) {
		return json.Marshal(string(g))
	}
	return json.Marshal(globBytes{[]byte(g)})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (g *Glob) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '{' {
		var b globBytes
		err := json.Unmarshal(text, &b)
		*g = Glob(b.B64)
		return err
	}
	return json.Unmarshal(text, (*string)(g))
}

type globBytes struct {
	B64 []byte `json:"b64"`
}

func (g *Globs) texts() []string {
	var texts []string
	for _, glob := range *g {
		texts = append(texts, string(glob))
	}
	return texts
}

// String implements [pflag.Value].
func (g *Globs) String() string { return strings.Join(g.texts(), ",") }

// Type implements [pflag.Value].
func (g *Globs) Type() string { return "GLOB" }

// Set implements [pflag.Value].
func (g *Globs) Set(text string) error { return g.Append(text) }

// Append implements [pflag.SliceValue], so that a configuration can have a list.
func (g *Globs) Append(text string) error {
	if text == "" {
		return errEmpty
	}
	*g = append(*g, Glob(text))
	return nil
}

// Replace implements [pflag.SliceValue].
func (g *Globs) Replace(texts []string) error {
	*g = nil
	for _, text := range texts {
		if err := g.Append(text); err != nil {
			return err
		}
	}
	return nil
}

// GetSlice implements [pflag.SliceValue].
func (g *Globs) GetSlice() []string { return g.texts() }

// Types are the values of --type: letters.
type Types string

var typeOf = map[byte]fs.FileMode{
	'f': 0,
	'd': fs.ModeDir,
	'l': fs.ModeSymlink,
	'p': fs.ModeNamedPipe,
	's': fs.ModeSocket,
	'b': fs.ModeDevice,
	'c': fs.ModeDevice | fs.ModeCharDevice,
}

const typeLetters = "fdlpsbc"

func typeWords() []string { return strings.Split(typeLetters, "") }

// String implements [pflag.Value].
func (t *Types) String() string { return strings.Join(strings.Split(string(*t), ""), ",") }

// Type implements [pflag.Value].
func (t *Types) Type() string { return "TYPES" }

// Set implements [pflag.Value]. It adds to what there is.
func (t *Types) Set(text string) error {
	items := list(text)
	if len(items) == 0 {
		return errEmpty
	}
	for _, item := range items {
		if len(item) != 1 || !strings.Contains(typeLetters, item) {
			return fmt.Errorf("%q is no type: there are %s", item, letterList)
		}
		if !strings.Contains(string(*t), item) {
			*t += Types(item)
		}
	}
	return nil
}

// UnmarshalJSON implements [json.Unmarshaler]: what is no list of types does not come
// from here.
func (t *Types) UnmarshalJSON(text []byte) error {
	var letters string
	if err := json.Unmarshal(text, &letters); err != nil || letters == "" {
		*t = ""
		return err
	}
	*t = ""
	return t.Set(strings.Join(strings.Split(letters, ""), ","))
}

// Sizes are the values of --size.
type Sizes []Size

// Size is more than so many bytes, less, or exactly that.
type Size struct {
	Sign  byte // '+', '-', or 0
	Bytes hydra.Size
}

func (s Size) matches(n int64) bool {
	switch s.Sign {
	case '+':
		return n > int64(s.Bytes)
	case '-':
		return n < int64(s.Bytes)
	}
	return n == int64(s.Bytes)
}

// String is what Set reads.
func (s Size) String() string {
	if s.Sign == 0 {
		return s.Bytes.String()
	}
	return string(s.Sign) + s.Bytes.String()
}

func (s *Size) parse(text string) error {
	var parsed Size
	if text != "" && (text[0] == '+' || text[0] == '-') {
		parsed.Sign, text = text[0], text[1:]
	}
	if err := parsed.Bytes.Set(text); err != nil {
		return err
	}
	if parsed.Sign == '-' && parsed.Bytes == 0 {
		return errors.New("nothing is smaller than 0 bytes")
	}
	*s = parsed
	return nil
}

// MarshalText implements [encoding.TextMarshaler].
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Size) UnmarshalText(text []byte) error { return s.parse(string(text)) }

// String implements [pflag.Value].
func (s *Sizes) String() string { return strings.Join(s.GetSlice(), ",") }

// Type implements [pflag.Value].
func (s *Sizes) Type() string { return "SIZE" }

// Set implements [pflag.Value]. It adds to what there is.
func (s *Sizes) Set(text string) error {
	items := list(text)
	if len(items) == 0 {
		return errEmpty
	}
	for _, item := range items {
		if err := s.Append(item); err != nil {
			return err
		}
	}
	return nil
}

// Append implements [pflag.SliceValue].
func (s *Sizes) Append(text string) error {
	var one Size
	if err := one.parse(text); err != nil {
		return err
	}
	*s = append(*s, one)
	return nil
}

// Replace implements [pflag.SliceValue].
func (s *Sizes) Replace(texts []string) error {
	*s = nil
	for _, text := range texts {
		if err := s.Append(text); err != nil {
			return err
		}
	}
	return nil
}

// GetSlice implements [pflag.SliceValue].
func (s *Sizes) GetSlice() []string {
	var texts []string
	for _, one := range *s {
		texts = append(texts, one.String())
	}
	return texts
}

// Age is a duration in the units that people count ages in: a week is 7 days, a day
// 24 hours.
type Age time.Duration

var ageUnits = []struct {
	letter byte
	is     time.Duration
}{{'w', 7 * 24 * time.Hour}, {'d', 24 * time.Hour}, {'h', time.Hour}, {'m', time.Minute}, {'s', time.Second}}

// ParseAge reads text as 90d, 1w2d, 12h or 30m: the larger unit comes first.
func ParseAge(text string) (Age, error) {
	bad := fmt.Errorf("%q is no age such as 90d, 1w2d, 12h or 30m", text)
	var sum time.Duration
	unit := 0
	for rest := text; rest != ""; {
		digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
		n, err := strconv.ParseInt(digits, 10, 64)
		if rest = rest[len(digits):]; err != nil || rest == "" {
			return 0, bad
		}
		for unit < len(ageUnits) && ageUnits[unit].letter != rest[0] {
			unit++
		}
		if unit == len(ageUnits) {
			return 0, bad
		}
		if n > int64(math.MaxInt64/ageUnits[unit].is) || time.Duration(n)*ageUnits[unit].is > math.MaxInt64-sum {
			return 0, fmt.Errorf("%s is longer than this program can count", text)
		}
		sum += time.Duration(n) * ageUnits[unit].is
		rest = rest[1:]
		unit++
	}
	if sum <= 0 {
		return 0, bad
	}
	return Age(sum), nil
}

// String is what ParseAge reads; "" if it is 0.
func (a *Age) String() string {
	var b strings.Builder
	left := time.Duration(*a)
	for _, u := range ageUnits {
		if u.letter == 'w' && left%u.is != 0 {
			continue // 90d, and not 12w6d
		}
		if n := left / u.is; n > 0 {
			fmt.Fprintf(&b, "%d%c", n, u.letter)
			left -= n * u.is
		}
	}
	return b.String()
}

// Type implements [pflag.Value].
func (a *Age) Type() string { return "AGE" }

// Set implements [pflag.Value].
func (a *Age) Set(text string) error {
	parsed, err := ParseAge(text)
	if err == nil {
		*a = parsed
	}
	return err
}

// MarshalText implements [encoding.TextMarshaler].
func (a Age) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (a *Age) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*a = 0
		return nil
	}
	return a.Set(string(text))
}

// Times are the values of --time.
type Times []string

// String implements [pflag.Value].
func (t *Times) String() string { return strings.Join(*t, ",") }

// Type implements [pflag.Value].
func (t *Times) Type() string { return "TIMES" }

// Set implements [pflag.Value]. It adds to what there is.
func (t *Times) Set(text string) error {
	items := list(text)
	if len(items) == 0 {
		return errEmpty
	}
	for _, item := range items {
		if timeFields[item] == 0 {
			return fmt.Errorf("%q is no time: there are %s", item, strings.Join(timeWords(), ", "))
		}
		if !slices.Contains(*t, item) {
			*t = append(*t, item)
		}
	}
	return nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Times) UnmarshalJSON(text []byte) error {
	var words []string
	if err := json.Unmarshal(text, &words); err != nil {
		return err
	}
	*t = nil
	for _, word := range words {
		if err := t.Set(word); err != nil {
			return err
		}
	}
	return nil
}

// Owners are the values of --owner or --group.
type Owners []Owner

// Owner is a user or a group. Names mean the same everywhere: the command looks them up.
type Owner struct {
	Name string  `json:"name"`
	ID   *uint32 `json:"id"` // nil: it was not looked up yet
}

// resolve looks up those that are no numbers.
func (o Owners) resolve(ctx context.Context, lookup func(context.Context, string) (uint32, error)) error {
	for i := range o {
		if o[i].ID != nil {
			continue
		}
		id, err := lookup(ctx, o[i].Name)
		if err != nil {
			return err
		}
		o[i].ID = &id
	}
	return nil
}

func (o Owners) has(id uint32) bool {
	for i := range o {
		if o[i].ID != nil && *o[i].ID == id {
			return true
		}
	}
	return false
}

// String implements [pflag.Value].
func (o *Owners) String() string {
	var names []string
	for _, one := range *o {
		names = append(names, one.Name)
	}
	return strings.Join(names, ",")
}

// Type implements [pflag.Value].
func (o *Owners) Type() string { return "NAMES" }

// Set implements [pflag.Value]. It adds to what there is.
func (o *Owners) Set(text string) error {
	items := list(text)
	if len(items) == 0 {
		return errEmpty
	}
	for _, item := range items {
		*o = append(*o, Owner{Name: item})
	}
	return nil
}

// AsOf is a point in time.
type AsOf struct{ time.Time }

// String implements [pflag.Value].
func (t *AsOf) String() string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// Type implements [pflag.Value].
func (t *AsOf) Type() string { return "TIME" }

// Set implements [pflag.Value]. A time without a zone is one of this machine's.
func (t *AsOf) Set(text string) error {
	if text == "" {
		return errEmpty // of a variable that is not set: it would be now
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		parsed, err := time.ParseInLocation(layout, text, time.Local)
		if parsed = parsed.UTC(); err == nil && 0 < parsed.Year() && parsed.Year() <= 9999 && !parsed.IsZero() { // which is no time, and would be now
			*t = AsOf{parsed}
			return nil
		}
	}
	return fmt.Errorf("%q is no time such as 2026-01-31 or 2026-01-31T12:00:00Z", text)
}
