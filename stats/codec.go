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
// fields that hold something, each in binary if its type can, else as JSON. That is
// smaller and faster than JSON of the whole, which shows all fields and is gone over
// once more for each level.
type Codec[S any] struct {
	empty map[string][]byte // each field in which nothing was counted
}

// NewCodec makes a Codec of statistics like empty, in which nothing was counted.
func NewCodec[S any](empty *S) (*Codec[S], error) {
	c := &Codec[S]{empty: map[string][]byte{}}
	err := eachField("", reflect.ValueOf(empty).Elem(), func(name string, v Value) error {
		text, err := encode(v)
		c.empty[name] = text
		return err
	})
	return c, err
}

// Encode returns what s holds.
func (c *Codec[S]) Encode(s *S) ([]byte, error) {
	var out []byte
	err := eachField("", reflect.ValueOf(s).Elem(), func(name string, v Value) error {
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
	err := eachField("", reflect.ValueOf(s).Elem(), func(name string, v Value) error {
		text, ok := fields[name]
		if !ok {
			return nil
		}
		delete(fields, name)
		if b, ok := v.(binaryValue); ok {
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
func eachField(path string, s reflect.Value, do func(name string, v Value) error) error {
	t := s.Type()
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("stats: %s is not a struct", t)
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name := path + f.Name
		if !f.IsExported() {
			return fmt.Errorf("stats: field %s is not exported", name)
		}
		var err error
		if v, ok := s.Field(i).Addr().Interface().(Value); ok {
			if err = do(name, v); err != nil {
				err = fmt.Errorf("stats: field %s: %w", name, err)
			}
		} else if f.Type.Kind() == reflect.Struct {
			err = eachField(name+".", s.Field(i), do)
		} else {
			err = fmt.Errorf("stats: field %s is a %s, which is no stats.Value", name, f.Type)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// binaryValue is a Value that has a binary form too.
type binaryValue interface {
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

// encode is the binary form, or JSON, which is not gone over once more when a
// method has made it.
func encode(v Value) ([]byte, error) {
	if b, ok := v.(binaryValue); ok {
		return b.AppendBinary(nil)
	}
	if m, ok := v.(json.Marshaler); ok {
		return m.MarshalJSON()
	}
	return json.Marshal(v)
}
