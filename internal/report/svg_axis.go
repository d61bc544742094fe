package report

import (
	"math"
	"strconv"

	"github.com/dustin/go-humanize"
)

// unit is what an axis measures.
type unit int

const (
	unitNumber unit = iota
	unitBytes
	unitShare
	unitSeconds
)

// number returns what a cell has to draw, and false if it has nothing.
func number(v any) (float64, unit, bool) {
	var f float64
	var u unit
	switch v := v.(type) {
	case int64:
		f = float64(v)
	case float64:
		f = v
	case Bytes:
		f, u = float64(v), unitBytes
	case Share:
		f, u = float64(v), unitShare
	case Seconds:
		f, u = float64(v), unitSeconds
	default:
		return 0, 0, false
	}
	return f, u, !math.IsNaN(f) && !math.IsInf(f, 0)
}

// axis is a scale from 0 up.
type axis struct {
	unit  unit
	scale float64 // of bytes: the size of their unit
	step  float64
	steps int
}

func (a axis) top() float64 { return a.step * float64(a.steps) }

// newAxis makes a scale with round steps that holds highest. It has so many
// steps, or as many as suit it if that is 0: two axes of a chart share the lines
// of a grid.
func newAxis(u unit, highest float64, whole bool, steps int) axis {
	a := axis{unit: u, scale: 1, steps: steps}
	if highest <= 0 {
		highest = 1
	}
	for u == unitBytes && a.scale < 1<<60 && highest/a.scale >= 1024 {
		a.scale *= 1024
	}
	wanted := 5
	if steps > 0 {
		wanted = steps
	}
	a.step = a.scale * roundUp(highest/a.scale/float64(wanted))
	if whole || u == unitBytes && a.scale == 1 {
		a.step = max(1, math.Ceil(a.step))
	}
	if steps == 0 {
		a.steps = max(1, int(math.Ceil(highest/a.step-1e-9)))
	}
	return a
}

// roundUp returns the next number that people count in.
func roundUp(n float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(n)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if n <= m*power*(1+1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// label names the i-th line of the grid.
func (a axis) label(i int) string {
	n := a.step * float64(i)
	switch a.unit {
	case unitBytes:
		if i == 0 {
			return "0"
		}
		return short(n/a.scale) + " " + iecUnits[int(math.Log2(a.scale)/10)]
	case unitShare:
		return short(100*n) + " %"
	case unitSeconds:
		return short(n) + " s"
	}
	top := a.top()
	for _, k := range []struct {
		n    float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if top >= k.n && i > 0 {
			if k.name == "k" {
				k.n = 1e3
			}
			return short(n/k.n) + k.name
		}
	}
	if n == math.Trunc(n) {
		return humanize.Comma(int64(n))
	}
	return short(n)
}

// short writes n without the noise of binary fractions.
func short(n float64) string {
	return strconv.FormatFloat(math.Round(n*1e6)/1e6, 'f', -1, 64)
}
