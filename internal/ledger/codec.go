package ledger

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// version is that of what is written. It stands before each value.
const version = 1

// ErrVersion is the error of a value that another version of the program wrote.
var ErrVersion = errors.New("written by another version of the program")

var (
	encoding = must(cbor.EncOptions{Time: cbor.TimeRFC3339Nano}.EncMode())
	decoding = must(cbor.DecOptions{
		MaxArrayElements: 1 << 24,
		MaxMapPairs:      1 << 20,
		MaxNestedLevels:  12,
		IndefLength:      cbor.IndefLengthForbidden,
		UTF8:             cbor.UTF8DecodeInvalid, // names are bytes
		TagsMd:           cbor.TagsForbidden,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Encode makes bytes of a value: a record, a state, or what is sent about them.
func Encode(v any) []byte {
	body, err := encoding.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("ledger: %T: %v", v, err)) // its types are ours
	}
	return append([]byte{version}, body...)
}

// Decode is the opposite of Encode. The bytes may be anybody's.
func Decode(data []byte, into any) error {
	if len(data) == 0 || data[0] != version {
		return ErrVersion
	}
	return decoding.Unmarshal(data[1:], into)
}
