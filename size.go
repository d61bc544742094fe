package hydra

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes that is given on a command line: 10G and 10GiB are
// 10 x 2^30, 10GB is 10 x 10^9. It can be the value of a flag.
type Size int64

var binaryUnits = []string{"", "K", "M", "G", "T", "P", "E"}

// String is the shortest text that Set reads as the same number.
func (s Size) String() string {
	n, unit := int64(s), 0
	for n != 0 && n%1024 == 0 && unit < len(binaryUnits)-1 {
		n, unit = n/1024, unit+1
	}
	return strconv.FormatInt(n, 10) + binaryUnits[unit]
}

// Type names the kind of value in help texts.
func (s *Size) Type() string { return "SIZE" }

// Set parses text.
func (s *Size) Set(text string) error {
	digits := strings.TrimRight(text, "BKMGTPEibkmgtpe")
	unit := strings.ToUpper(text[len(digits):])
	base := 1024.0
	switch {
	case len(unit) == 3 && strings.HasSuffix(unit, "IB"):
		unit = unit[:1]
	case len(unit) == 2 && unit[1] == 'B':
		unit, base = unit[:1], 1000
	case unit == "B":
		unit = ""
	}
	power := -1
	for i, u := range binaryUnits {
		if u == unit {
			power = i
		}
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || power < 0 || strings.Trim(digits, "0123456789.") != "" {
		return fmt.Errorf("%q is not a size such as 4096, 8K, 10GiB or 10GB", text)
	}
	n *= math.Pow(base, float64(power))
	if n >= math.MaxInt64 {
		return errors.New("that is more than any file holds")
	}
	*s = Size(n)
	return nil
}
