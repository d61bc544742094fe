package owner

import (
	"context"
	"errors"
)

func account(context.Context, string) (*Account, error) { return nil, errors.ErrUnsupported }
