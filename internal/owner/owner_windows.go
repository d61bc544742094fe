package owner

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/windows"
)

func userNames(context.Context, []uint32) (map[uint32]string, error) {
	return map[uint32]string{}, nil
}

func groupNames(context.Context, []uint32) (map[uint32]string, error) {
	return map[uint32]string{}, nil
}

// accountNames goes on after an error: one domain may be out of reach, and others
// not. A lookup can not be stopped, so the context is checked between them.
func accountNames(ctx context.Context, sids []string) (map[string]string, error) {
	found := map[string]string{}
	var firstErr error
	for _, text := range sids {
		if err := ctx.Err(); err != nil {
			return found, err
		}
		sid, err := windows.StringToSid(text)
		if err != nil {
			continue // it is none, so it has no name
		}
		account, domain, _, err := sid.LookupAccount("")
		switch {
		case errors.Is(err, windows.ERROR_NONE_MAPPED):
		case err != nil:
			if firstErr == nil {
				firstErr = fmt.Errorf("look up %q: %w", text, err)
			}
		case domain == "": // as of Everyone
			found[text] = account
		default:
			found[text] = domain + `\` + account
		}
	}
	return found, firstErr
}
