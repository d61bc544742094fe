package natsbus

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/s2"

	"github.com/hydrawalk/hydra/internal/bus"
)

// A value is stored as an envelope:
//
//	byte     version, 2
//	byte     kind: bits
//	8 bytes  nonce: which Put wrote it
//	uvarint  size of the value
//	4 bytes  CRC-32C of what is packed
//	uvarint  size of what is packed
//	uvarint  number of parts; 0: what is packed follows
type envelope struct {
	kind   byte
	nonce  nonce
	size   uint64
	crc    uint32
	length uint64
	parts  uint64
	packed []byte // nil if there are parts
}

const (
	version = 2

	kindS2      = 1 << 0 // what is packed is compressed
	kindDeleted = 1 << 1 // there is no value any more
)

type nonce [8]byte

func (n nonce) String() string { return hex.EncodeToString(n[:]) }

const (
	compressFrom = 4 << 10
	headerMax    = 2 + 8 + 4 + 3*binary.MaxVarintLen64
	minPart      = 1 << 10 // of a part that is not the last
)

var (
	errDamaged  = bus.ErrDamaged
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
	maxPacked   = uint64(s2.MaxEncodedLen(bus.MaxValue))
	maxNumParts = maxPacked/minPart + 1
)

func damaged(what string) error { return fmt.Errorf("%w: %s", errDamaged, what) }

// pack makes an envelope that holds all; split takes out what is too large.
func pack(n nonce, data []byte) *envelope {
	e := &envelope{nonce: n, size: uint64(len(data)), packed: data}
	if len(data) > compressFrom {
		if small := s2.Encode(nil, data); len(small) < len(data) {
			e.packed, e.kind = small, kindS2
		}
	}
	e.length = uint64(len(e.packed))
	e.crc = crc32.Checksum(e.packed, castagnoli)
	return e
}

// split returns the parts of what is packed, none if it fits.
func (e *envelope) split(partSize int) [][]byte {
	if len(e.packed) <= partSize {
		return nil
	}
	var parts [][]byte
	for rest := e.packed; len(rest) > 0; {
		n := min(partSize, len(rest))
		parts = append(parts, rest[:n])
		rest = rest[n:]
	}
	e.parts, e.packed = uint64(len(parts)), nil
	return parts
}

func (e *envelope) encode() []byte {
	b := make([]byte, 0, headerMax+len(e.packed))
	b = append(b, version, e.kind)
	b = append(b, e.nonce[:]...)
	b = binary.AppendUvarint(b, e.size)
	b = binary.BigEndian.AppendUint32(b, e.crc)
	b = binary.AppendUvarint(b, e.length)
	b = binary.AppendUvarint(b, e.parts)
	return append(b, e.packed...)
}

// decode reads what anybody may have written. What it returns is bounded: a value,
// its packed form and the number of its parts.
func decode(b []byte) (*envelope, error) {
	e := new(envelope)
	if len(b) < 10 {
		return nil, damaged("too short")
	}
	if b[0] != version {
		return nil, damaged(fmt.Sprintf("version %d, where %d is known", b[0], version))
	}
	e.kind = b[1]
	if e.kind&^(kindS2|kindDeleted) != 0 {
		return nil, damaged("unknown kind")
	}
	copy(e.nonce[:], b[2:])
	b = b[10:]
	var ok bool
	if e.size, b, ok = uvarint(b, bus.MaxValue); !ok {
		return nil, damaged("size")
	}
	if len(b) < 4 {
		return nil, damaged("too short")
	}
	e.crc = binary.BigEndian.Uint32(b)
	if e.length, b, ok = uvarint(b[4:], maxPacked); !ok {
		return nil, damaged("length")
	}
	if e.parts, b, ok = uvarint(b, maxNumParts); !ok || e.parts > e.length/minPart+1 {
		return nil, damaged("number of parts")
	}
	if e.parts == 0 {
		e.packed = b
		if uint64(len(b)) != e.length {
			return nil, damaged("length")
		}
	} else if len(b) != 0 {
		return nil, damaged("both parts and a value")
	}
	return e, nil
}

func uvarint(b []byte, most uint64) (uint64, []byte, bool) {
	x, n := binary.Uvarint(b)
	if n <= 0 || x > most {
		return 0, nil, false
	}
	return x, b[n:], true
}

// unpack returns the value. It checks what decode could not.
func (e *envelope) unpack() ([]byte, error) {
	if uint64(len(e.packed)) != e.length {
		return nil, damaged("length")
	}
	if crc32.Checksum(e.packed, castagnoli) != e.crc {
		return nil, damaged("checksum")
	}
	if e.kind&kindS2 == 0 {
		if e.length != e.size {
			return nil, damaged("size")
		}
		return e.packed, nil
	}
	if n, err := s2.DecodedLen(e.packed); err != nil || uint64(n) != e.size {
		return nil, damaged("size") // before that much is allocated
	}
	data, err := s2.Decode(nil, e.packed)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return data, nil
}
