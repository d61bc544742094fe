package stats

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// Codec writes statistics for programs of the same kind and reads them back: the
// fields that hold something, each in binary if it is of a type of this package that
// has such a form, else as JSON. That is smaller and faster than JSON of the whole,
// which shows all fields and is gone over once more for each level.
type Codec[S any] struct {
	empty map[string][]byte // each field in which nothing was counted
}

// NewCodec makes a Codec of statistics like empty, in which nothing was counted.
func NewCodec[S any](empty *S) (*Codec[S], error) {
	c := &Codec[S]{empty: map[string][]byte{}}
	err := eachField(empty, func(name string, v Value) error {
		text, err := encode(v)
		c.empty[name] = text
		return err
	})
	return c, err
}

// Encode returns what s holds.
func (c *Codec[S]) Encode(s *S) ([]byte, error) {
	var out []byte
	err := eachField(s, func(name string, v Value) error {
		text, err := encode(v)
		if err != nil || bytes.Equal(text, c.empty[name]) {
			return err
		}
		for _, part := range [][]byte{[]byte(name), text} {
			out = append(binary.AppendUvarint(out, uint64(len(part))), part...)
		}
		return nil
	})
	return out, err
}

// Decode sets the fields of s, in which nothing was counted, to what Encode
// returned. The bytes may be anybody's.
func (c *Codec[S]) Decode(data []byte, s *S) error {
	fields := map[string][]byte{}
	for len(data) > 0 {
		var parts [2][]byte
		for i := range parts {
			n, size := binary.Uvarint(data)
			if size <= 0 || n > uint64(len(data)-size) {
				return errors.New("stats: the encoding is cut short")
			}
			parts[i], data = data[size:size+int(n)], data[size+int(n):]
		}
		fields[string(parts[0])] = parts[1]
	}
	err := eachField(s, func(name string, v Value) error {
		text, ok := fields[name]
		if !ok {
			return nil
		}
		delete(fields, name)
		if b := inBinary(v); b != nil {
			return b.UnmarshalBinary(text)
		}
		return json.Unmarshal(text, v)
	})
	if err != nil {
		return err
	}
	for name := range fields {
		return fmt.Errorf("stats: there is no field %s", name)
	}
	return nil
}

// eachField calls do with each Value of a struct, and its name.
func eachField[S any](s *S, do func(name string, v Value) error) error {
	return pair(s, s, func(name string, field, _ Value) error { return do(name, field) })
}

// binaryValue is a Value that has a binary form too.
type binaryValue interface {
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

var here = reflect.TypeFor[Max]().PkgPath()

// inBinary is v if it has a binary form of its own. A type of somebody else that
// embeds such a one has its methods, but may hold more.
func inBinary(v Value) binaryValue {
	if reflect.TypeOf(v).Elem().PkgPath() != here {
		return nil
	}
	b, _ := v.(binaryValue)
	return b
}

// encode is the binary form, or JSON, which is not gone over once more when a
// method has made it.
func encode(v Value) ([]byte, error) {
	if b := inBinary(v); b != nil {
		return b.AppendBinary(nil)
	}
	if m, ok := v.(json.Marshaler); ok {
		return m.MarshalJSON()
	}
	return json.Marshal(v)
}
