package stats

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// keyText is a key as JSON has it: its own text, if it is an
// [encoding.TextMarshaler]. Other keys have other texts.
func keyText[K Key](k K) string {
	if t, ok := any(k).(encoding.TextMarshaler); ok {
		text, err := t.MarshalText()
		if err != nil {
			panic(fmt.Sprintf("stats: a key without a text: %v", err))
		}
		return string(text)
	}
	switch v := reflect.ValueOf(k); {
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10)
	default:
		s := v.String()
		if !utf8.ValidString(s) || strings.HasPrefix(s, `"`) {
			return strconv.QuoteToASCII(s) // Quote depends on the Unicode of its Go
		}
		return s
	}
}

// parseKey is the key whose text this is. A text that keyText does not write is
// an error, so that no two texts are one key.
func parseKey[K Key](text string) (K, error) {
	var k K
	var err error
	if t, ok := any(&k).(encoding.TextUnmarshaler); ok {
		err = t.UnmarshalText([]byte(text))
	} else {
		err = setKey(&k, text)
	}
	if err != nil || keyText(k) != text {
		return k, fmt.Errorf("stats: %q is not the key of a group by %T", text, k)
	}
	return k, nil
}

func setKey[K Key](k *K, text string) error {
	var err error
	switch v := reflect.ValueOf(k).Elem(); {
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
	case v.CanUint():
		var n uint64
		n, err = strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
	case strings.HasPrefix(text, `"`):
		var s string
		s, err = strconv.Unquote(text)
		v.SetString(s)
	default:
		v.SetString(text)
	}
	return err
}
