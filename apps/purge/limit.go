package purge

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/hydrawalk/hydra"
)

// Limit is the most files that are deleted: a number, or a share of the files that
// there are, as 5%. "" is no limit.
type Limit string

// String implements [pflag.Value].
func (l *Limit) String() string { return string(*l) }

// Type implements [pflag.Value].
func (l *Limit) Type() string { return "N" }

// Set implements [pflag.Value].
func (l *Limit) Set(text string) error {
	limit := Limit(text)
	_, percent, err := limit.parse()
	if err == nil && percent > 100 {
		err = fmt.Errorf("%s is more than all", text)
	}
	if err == nil {
		*l = limit
	}
	return err
}

func (l Limit) none() bool { return l == "" }

// parse returns a number, or a percentage and -1.
func (l Limit) parse() (n int64, percent float64, err error) {
	wrong := fmt.Errorf("%q is neither a number of files, as 1000, nor a share, as 5%%", string(l))
	if share, ok := strings.CutSuffix(string(l), "%"); ok {
		percent, err := strconv.ParseFloat(share, 64)
		if err != nil || !(percent >= 0) || math.IsInf(percent, 0) {
			return 0, 0, wrong
		}
		return -1, percent, nil
	}
	n, err = strconv.ParseInt(string(l), 10, 64)
	if err != nil || n < 0 {
		return 0, 0, wrong
	}
	return n, 0, nil
}

// of is the limit where there are so many files; what it is a share of is rounded
// down.
func (l Limit) of(files int64) int64 {
	n, percent, _ := l.parse() // Set has checked it
	if n >= 0 {
		return n
	}
	return int64(math.Floor(float64(files) * percent / 100))
}

// describe is the limit for people.
func (l Limit) describe() string {
	n, percent, _ := l.parse()
	if n >= 0 {
		return humanize.Comma(n) + " files"
	}
	return strconv.FormatFloat(percent, 'f', -1, 64) + "% of the files"
}

// maxActs is how much may be deleted. For a share all is counted first.
func maxActs(s Settings, counted *hydra.Result[Stats]) (n int64, count *Settings, err error) {
	if !s.Purge || s.MaxDelete.none() {
		return 0, nil, nil
	}
	n, percent, err := s.MaxDelete.parse()
	switch {
	case err != nil:
		return 0, nil, err
	case n == 0 || n < 0 && percent == 0:
		return 0, nil, errors.New("--max-delete 0 lets nothing be deleted: leave out --purge")
	case n > 0:
		return n, nil, nil
	case counted == nil:
		s.Purge = false
		return 0, &s, nil
	}
	all, would := counted.Walked.ProcessedFiles, counted.Stats.Matched.Count
	what := "files"
	if s.EmptyDirs {
		what = "files and directories"
		all += counted.Walked.ProcessedDirs
		would += int64(counted.Stats.DeletedDirs)
	}
	if n = s.MaxDelete.of(all); would > n {
		return 0, nil, fmt.Errorf("nothing was deleted: it would be %s of %s %s, and more than %s", humanize.Comma(would), humanize.Comma(all), what, s.MaxDelete)
	}
	if n == 0 {
		// Of so few files the share is none, and 0 would be no limit: what was counted
		// stands, whatever becomes old meanwhile.
		s.Purge = false
		return 0, &s, nil
	}
	return n, nil, nil
}
