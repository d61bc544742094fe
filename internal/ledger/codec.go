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
	values   = must(decodes(mostElements).DecMode())
	messages = must(decodes(mostElementsOfMessage).DecMode())
)

// Elements of one array or map. What is decoded takes some hundred times as much memory
// as the bytes at worst: an element that has no bytes but one is as large as any other.
const (
	mostElements          = 1 << 22 // a value of the engine has room for about as many items
	mostElementsOfMessage = 1 << 14
)

// decodes says what bytes may be. They never choose what is made of them: that is said by
// the type of what they are decoded into, which has no field of an interface. There are no
// tags, and nothing is longer than it says at its beginning. Fields that are not known are
// left out, so that a newer version of the program can have more of them while both run;
// one that is there twice is an error, for nobody could tell which is meant.
func decodes(most int) cbor.DecOptions {
	return cbor.DecOptions{
		MaxArrayElements:  most,
		MaxMapPairs:       min(most, 1<<20),
		MaxNestedLevels:   12,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		UTF8:              cbor.UTF8DecodeInvalid, // names are bytes
	}
}

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

// Decode is the opposite of Encode. The bytes may be anybody's: what they say is bounded,
// but need not make sense.
func Decode(data []byte, into any) error { return decode(values, data, into) }

// DecodeMessage is Decode for what is small.
func DecodeMessage(data []byte, into any) error { return decode(messages, data, into) }

func decode(mode cbor.DecMode, data []byte, into any) error {
	if len(data) == 0 || data[0] != version {
		return ErrVersion
	}
	return mode.Unmarshal(data[1:], into)
}
