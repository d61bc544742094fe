package purge

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isNotEmpty tells whether a directory was not removed for what is in it.
func isNotEmpty(err error) bool { return errors.Is(err, windows.ERROR_DIR_NOT_EMPTY) }
