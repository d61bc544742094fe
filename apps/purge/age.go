package purge

// (age until selection is there)
import (
	"fmt"
	"strconv"
	"time"
)

// Age is a time that passed, as 90d.
type Age time.Duration

// String implements [pflag.Value].
func (a *Age) String() string {
	if *a == 0 {
		return ""
	}
	return a.text()
}

func (a Age) text() string {
	d := time.Duration(a)
	out := ""
	if days := d / (24 * time.Hour); days > 0 {
		out = fmt.Sprintf("%dd", days)
	}
	if d %= 24 * time.Hour; d != 0 {
		out += d.String()
	}
	return out
}

// Type implements [pflag.Value].
func (a *Age) Type() string { return "AGE" }

// Set implements [pflag.Value].
func (a *Age) Set(text string) error {
	n, err := strconv.ParseFloat(text[:max(len(text)-1, 0)], 64)
	if err != nil || n <= 0 {
		return fmt.Errorf("%q is no age", text)
	}
	unit := map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour, 'h': time.Hour, 'm': time.Minute, 's': time.Second}[text[len(text)-1]]
	if unit == 0 {
		return fmt.Errorf("%q is no age", text)
	}
	*a = Age(n * float64(unit))
	return nil
}

// MarshalText implements [encoding.TextMarshaler].
func (a Age) MarshalText() ([]byte, error) { return []byte(a.text()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (a *Age) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*a = 0
		return nil
	}
	return a.Set(string(text))
}
