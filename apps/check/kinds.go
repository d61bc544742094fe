package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hydrawalk/hydra/stats"
)

// kind is a kind of problem: an index into kinds.
type kind uint8

const (
	encoding kind = iota
	caseDupe
	normalization
	nameLength
	pathLength
	keyLength
	control
	bidi
	invisible
	leadingDash
	leadingBlank
	trailingBlank
	trailingDot
	windowsChars
	windowsReserved
	macChars
	s3Chars
	posixChars
	fileSize
	sparse
	special
	anySymlink
	symlinkBroken
	symlinkAbsolute
	symlinkOutside
	hardLink
	numKinds
)

// A kind is counted by one or two counters: names of directories may count apart.
var kinds = [numKinds]struct {
	key  string // as it is typed
	what string // it finds
	by   string // the counter of the statistics, and the kind of a finding
}{
	encoding:        {"encoding", "names that are not UTF-8", "err_file_name_encoding"},
	caseDupe:        {"case", "names in one directory that differ only by case", "err_file_name_case_dupe"},
	normalization:   {"normalization", "one text in a directory, in several normal forms", "err_file_name_normalization_dupe"},
	nameLength:      {"name-length", "names over --max-name-bytes or --max-name-units", "err_file_name_length"},
	pathLength:      {"path-length", "paths over --max-path-bytes or --max-path-units", "err_path_name_length"},
	keyLength:       {"s3-key-length", "paths below PATH longer than 1024 bytes", "err_s3_key_length"},
	control:         {"control", "control characters in names", "err_name_control_chars"},
	bidi:            {"bidi", "characters that change the direction of text", "err_name_bidi_chars"},
	invisible:       {"invisible", "characters in names that are not seen", "err_name_invisible_chars"},
	leadingDash:     {"leading-dash", "names that begin with -", "err_name_leading_dash"},
	leadingBlank:    {"leading-blank", "names that begin with a blank", "err_name_leading_blank"},
	trailingBlank:   {"trailing-blank", "names that end with a blank", "err_name_trailing_blank"},
	trailingDot:     {"trailing-dot", "names that end with a dot", "err_name_trailing_dot"},
	windowsChars:    {"windows-chars", `any of < > : " \ | ? * in names`, "err_name_invalid_chars"},
	windowsReserved: {"windows-reserved", "names that Windows has for devices: CON, NUL.txt", "err_name_reserved"},
	macChars:        {"macos-chars", "names with :, which macOS shows as /", "err_name_macos_chars"},
	s3Chars:         {"s3-chars", "characters that S3 advises to avoid in keys", "err_name_s3_chars"},
	posixChars:      {"posix-chars", "characters other than A-Z a-z 0-9 . _ - in names", "err_name_posix_chars"},
	fileSize:        {"size", "files larger than --max-size", "err_file_size"},
	sparse:          {"sparse", "sparse files larger elsewhere by --max-inflation", "err_file_sparse"},
	special:         {"special", "fifos, sockets and devices", "err_special_file"},
	anySymlink:      {"symlink", "any symbolic link", "err_symlink"},
	symlinkBroken:   {"symlink-broken", "symbolic links to nothing below PATH", "err_symlink_broken"},
	symlinkAbsolute: {"symlink-absolute", "symbolic links to an absolute path", "err_symlink_absolute"},
	symlinkOutside:  {"symlink-outside", "symbolic links that lead out of PATH", "err_symlink_outside"},
	hardLink:        {"hard-link", "files with names below several PATHs", "err_hard_link_across_roots"},
}

// Counters that belong to a kind, but not to one alone.
const (
	pathEncoding = "err_path_name_encoding"   // encoding, of a directory
	targetLength = "err_target_path_length"   // pathLength, with a target prefix
	candidate    = "hard_link_candidate"      // an output that is none yet: see joiner
	leftOut      = "hard_link_files_left_out" // 1 if not all files were compared
)

func (k kind) String() string { return kinds[k].key }

// set is a set of kinds.
type set uint32

func setOf(ks ...kind) (s set) {
	for _, k := range ks {
		s |= 1 << k
	}
	return s
}

func (s set) has(k kind) bool { return s>>k&1 != 0 }

func (s set) keys() (keys []string) {
	for k := range numKinds {
		if s.has(k) {
			keys = append(keys, k.String())
		}
	}
	return keys
}

// byDefault are those that are a problem nearly everywhere, and rare where there is none.
var byDefault = setOf(encoding, caseDupe, normalization, nameLength, pathLength, control, bidi, invisible,
	leadingDash, leadingBlank, trailingBlank, fileSize, symlinkBroken)

// Limits are bounds; 0 sets none.
type Limits struct {
	NameBytes int `json:"name_bytes"`
	NameUnits int `json:"name_units"` // UTF-16 code units
	PathBytes int `json:"path_bytes"`
	PathUnits int `json:"path_units"`
	KeyBytes  int `json:"key_bytes"` // of the path below its root

	Size      int64 `json:"size"`
	Inflation int64 `json:"inflation"` // bytes that a sparse file does not occupy
}

// preset is where trees are to go.
type preset struct {
	name   string
	kinds  set
	limits Limits
}

const (
	maxKey    = 1024
	maxS3     = 10_000 * 5 << 30 // 10,000 parts of 5 GiB; 5 TiB until December 2025
	windowsMX = 259              // MAX_PATH is 260 with the NUL behind it
)

var presets = []preset{
	{"windows", setOf(encoding, caseDupe, nameLength, pathLength, control, trailingBlank, trailingDot, windowsChars, windowsReserved, special),
		Limits{NameUnits: 255, PathUnits: windowsMX}},
	{"smb", setOf(encoding, caseDupe, nameLength, control, trailingBlank, trailingDot, windowsChars, windowsReserved, special, symlinkAbsolute, symlinkOutside),
		Limits{NameUnits: 255, PathUnits: 32767}},
	{"s3", setOf(encoding, control, keyLength, s3Chars, fileSize, special, anySymlink, sparse), Limits{KeyBytes: maxKey, Size: maxS3}},
	{"macos", setOf(encoding, caseDupe, normalization, nameLength, pathLength, macChars), Limits{NameBytes: 255, NameUnits: 255, PathBytes: 1023}},
	{"posix-portable", setOf(posixChars, leadingDash, nameLength, pathLength), Limits{NameBytes: 14, PathBytes: 255}},
}

// least is the lower bound of two.
func least[N int | int64](a, b N) N {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func (l *Limits) tighten(o Limits) {
	l.NameBytes = least(l.NameBytes, o.NameBytes)
	l.NameUnits = least(l.NameUnits, o.NameUnits)
	l.PathBytes = least(l.PathBytes, o.PathBytes)
	l.PathUnits = least(l.PathUnits, o.PathUnits)
	l.KeyBytes = least(l.KeyBytes, o.KeyBytes)
	l.Size = least(l.Size, o.Size)
	l.Inflation = least(l.Inflation, o.Inflation)
}

// complete sets those of which no preset says anything.
func (l *Limits) complete() {
	if l.NameBytes == 0 && l.NameUnits == 0 {
		l.NameBytes, l.NameUnits = 255, 255
	}
	if l.PathBytes == 0 && l.PathUnits == 0 {
		l.PathBytes = 4095
	}
	if l.KeyBytes == 0 {
		l.KeyBytes = maxKey
	}
	if l.Size == 0 {
		l.Size = 4 << 40
	}
	if l.Inflation == 0 {
		l.Inflation = 1 << 30
	}
}

// kindsOf are kinds by their keys, or those of a list with all.
func kindsOf(flag string, keys []string) (s set, err error) {
	for _, key := range keys {
		key = strings.TrimSpace(key)
		if key == "all" {
			s |= 1<<numKinds - 1
			continue
		}
		k := slices.IndexFunc(kinds[:], func(k struct{ key, what, by string }) bool { return k.key == key || k.by == key })
		if k < 0 {
			return 0, fmt.Errorf("%s: %q is no check; there are %s, and all", flag, key, strings.Join((set(1)<<numKinds-1).keys(), ", "))
		}
		s |= 1 << k
	}
	return s, nil
}

func presetsOf(names []string) (ps []preset, err error) {
	for _, name := range names {
		i := slices.IndexFunc(presets, func(p preset) bool { return p.name == strings.TrimSpace(name) })
		if i < 0 {
			var all []string
			for _, p := range presets {
				all = append(all, p.name)
			}
			return nil, fmt.Errorf("--for: %q is not known; there are %s", name, strings.Join(all, ", "))
		}
		ps = append(ps, presets[i])
	}
	return ps, nil
}

// choose finds what is checked.
func choose(s *Settings) (set, Limits, error) {
	ps, err := presetsOf(s.For)
	if err != nil {
		return 0, Limits{}, err
	}
	all, limits := byDefault, Limits{}
	for _, p := range ps {
		all |= p.kinds
		limits.tighten(p.limits)
	}
	limits.complete()
	if len(s.Only) > 0 {
		if all, err = kindsOf("--check", s.Only); err != nil {
			return 0, Limits{}, err
		}
	}
	skip, err := kindsOf("--skip", s.Skip)
	if err != nil {
		return 0, Limits{}, err
	}
	all &^= skip
	if all == 0 {
		return 0, Limits{}, errors.New("nothing is left to check")
	}
	for _, l := range []struct {
		flag  string
		given int
		limit *int
	}{
		{"--max-name-bytes", s.MaxNameBytes, &limits.NameBytes}, {"--max-name-units", s.MaxNameUnits, &limits.NameUnits},
		{"--max-path-bytes", s.MaxPathBytes, &limits.PathBytes}, {"--max-path-units", s.MaxPathUnits, &limits.PathUnits},
	} {
		if l.given < 0 {
			return 0, Limits{}, fmt.Errorf("%s has to be at least 1, or 0 for what --for says", l.flag)
		}
		if l.given > 0 {
			*l.limit = l.given
		}
	}
	if s.MaxSize > 0 {
		limits.Size = int64(s.MaxSize)
	}
	if s.MaxInflation > 0 {
		limits.Inflation = int64(s.MaxInflation)
	}
	return all, limits, nil
}

// Stats are the statistics of a check: a counter for each kind of problem. Findings
// tell of each where it is.
type Stats struct {
	Names stats.Counter `json:"checked_names"` // of files and directories, and of those PATHs that end with a name

	FileEncoding    stats.Counter `json:"err_file_name_encoding"` // of what is no directory
	PathEncoding    stats.Counter `json:"err_path_name_encoding"` // of directories
	CaseDupe        stats.Counter `json:"err_file_name_case_dupe"`
	Normalization   stats.Counter `json:"err_file_name_normalization_dupe"`
	NameLength      stats.Counter `json:"err_file_name_length"`
	PathLength      stats.Counter `json:"err_path_name_length"`
	TargetLength    stats.Counter `json:"err_target_path_length"`
	KeyLength       stats.Counter `json:"err_s3_key_length"`
	Control         stats.Counter `json:"err_name_control_chars"`
	Bidi            stats.Counter `json:"err_name_bidi_chars"`
	Invisible       stats.Counter `json:"err_name_invisible_chars"`
	LeadingDash     stats.Counter `json:"err_name_leading_dash"`
	LeadingBlank    stats.Counter `json:"err_name_leading_blank"`
	TrailingBlank   stats.Counter `json:"err_name_trailing_blank"`
	TrailingDot     stats.Counter `json:"err_name_trailing_dot"`
	WindowsChars    stats.Counter `json:"err_name_invalid_chars"`
	WindowsReserved stats.Counter `json:"err_name_reserved"`
	MacChars        stats.Counter `json:"err_name_macos_chars"`
	S3Chars         stats.Counter `json:"err_name_s3_chars"`
	POSIXChars      stats.Counter `json:"err_name_posix_chars"`
	Size            stats.Counter `json:"err_file_size"`
	Sparse          stats.Counter `json:"err_file_sparse"`
	Special         stats.Counter `json:"err_special_file"`
	Symlink         stats.Counter `json:"err_symlink"`
	SymlinkBroken   stats.Counter `json:"err_symlink_broken"`
	SymlinkAbsolute stats.Counter `json:"err_symlink_absolute"`
	SymlinkOutside  stats.Counter `json:"err_symlink_outside"`
	HardLink        stats.Counter `json:"err_hard_link_across_roots"` // files, each once; of merged statistics only

	SymlinkUnknown stats.Counter `json:"symlinks_not_resolved"`    // nobody looked whether they are broken
	LeftOut        stats.Max     `json:"hard_link_files_left_out"` // 1: there were too many to compare all
	Links          Links         `json:"hard_link_files,omitzero"` // until they are compared
}

// of is where findings of a kind are counted.
func (s *Stats) of(by string) *stats.Counter {
	switch by {
	case "err_file_name_encoding":
		return &s.FileEncoding
	case pathEncoding:
		return &s.PathEncoding
	case "err_file_name_case_dupe":
		return &s.CaseDupe
	case "err_file_name_normalization_dupe":
		return &s.Normalization
	case "err_file_name_length":
		return &s.NameLength
	case "err_path_name_length":
		return &s.PathLength
	case targetLength:
		return &s.TargetLength
	case "err_s3_key_length":
		return &s.KeyLength
	case "err_name_control_chars":
		return &s.Control
	case "err_name_bidi_chars":
		return &s.Bidi
	case "err_name_invisible_chars":
		return &s.Invisible
	case "err_name_leading_dash":
		return &s.LeadingDash
	case "err_name_leading_blank":
		return &s.LeadingBlank
	case "err_name_trailing_blank":
		return &s.TrailingBlank
	case "err_name_trailing_dot":
		return &s.TrailingDot
	case "err_name_invalid_chars":
		return &s.WindowsChars
	case "err_name_reserved":
		return &s.WindowsReserved
	case "err_name_macos_chars":
		return &s.MacChars
	case "err_name_s3_chars":
		return &s.S3Chars
	case "err_name_posix_chars":
		return &s.POSIXChars
	case "err_file_size":
		return &s.Size
	case "err_file_sparse":
		return &s.Sparse
	case "err_special_file":
		return &s.Special
	case "err_symlink":
		return &s.Symlink
	case "err_symlink_broken":
		return &s.SymlinkBroken
	case "err_symlink_absolute":
		return &s.SymlinkAbsolute
	case "err_symlink_outside":
		return &s.SymlinkOutside
	case "err_hard_link_across_roots":
		return &s.HardLink
	}
	panic("check: nothing counts " + by)
}

// counters are the names of all counters of problems, in the order of the kinds.
func counters() (names []string) {
	for k := range kinds {
		names = append(names, kinds[k].by)
		switch kind(k) {
		case encoding:
			names = append(names, pathEncoding)
		case pathLength:
			names = append(names, targetLength)
		}
	}
	return names
}

// found is the number of problems.
func (s *Stats) found() (n int64) {
	for _, by := range counters() {
		n += int64(*s.of(by))
	}
	return n
}
