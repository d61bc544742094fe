package stats

import (
	"encoding/json"
	"fmt"
	"math/big"
	"time"
)

// Duration is a sum of times. JSON has it in seconds, with nine digits behind
// the point.
type Duration int64 // nanoseconds

// Add adds a time.
func (d *Duration) Add(t time.Duration) { *d = Duration(plus(int64(*d), int64(t))) }

// MergeValue implements [Value]: it adds.
func (d *Duration) MergeValue(from Value) error {
	o, err := as[Duration](from)
	if err == nil {
		d.Add(time.Duration(*o))
	}
	return err
}

// MarshalJSON implements [json.Marshaler].
func (d Duration) MarshalJSON() ([]byte, error) {
	sign, n := "", uint64(d)
	if d < 0 {
		sign, n = "-", -n
	}
	return fmt.Appendf(nil, "%s%d.%09d", sign, n/1e9, n%1e9), nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text json.Number
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	if text == "" { // null
		*d = 0
		return nil
	}
	seconds, ok := new(big.Rat).SetString(text.String())
	if ok {
		seconds.Mul(seconds, big.NewRat(1e9, 1))
	}
	if !ok || !seconds.IsInt() || !seconds.Num().IsInt64() {
		return fmt.Errorf("stats: %q are not seconds and whole nanoseconds", text)
	}
	*d = Duration(seconds.Num().Int64())
	return nil
}
