//go:build !windows

package audit

import "github.com/hydrawalk/hydra/walk"

// ownerSID is empty: only Windows has security identifiers.
func ownerSID(*walk.Entry) string { return "" }
