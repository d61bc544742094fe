package trust

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"fmt"
)

const (
	joinLabel    = "hydra1 join"
	joinedLabel  = "hydra1 joined"
	bindingLabel = "EXPORTER-hydra-join"
)

// tokenKey is what the server keeps of a token's secret. It is another one for
// another token and another CA.
func tokenKey(secret, ca []byte, id string) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, ca, "hydra1 token "+id, sha256.Size)
}

// mac authenticates fields. None can be taken for a part of its neighbour, because
// each follows its length.
func mac(key []byte, fields ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, f := range fields {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(f))))
		h.Write(f)
	}
	return h.Sum(nil)
}

// joinProof is a joiner's.
func joinProof(key []byte, id string, csr []byte, host string, binding []byte) []byte {
	return mac(key, []byte(joinLabel), []byte(id), csr, []byte(host), binding)
}

// joinedProof is the server's, over its answer.
func joinedProof(key []byte, id string, proof, certificate, ca, binding []byte) []byte {
	return mac(key, []byte(joinedLabel), []byte(id), proof, certificate, ca, binding)
}

// binding is what only the two ends of one connection, of TLS 1.3, know.
func binding(c *tls.ConnectionState) ([]byte, error) {
	key, err := c.ExportKeyingMaterial(bindingLabel, nil, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("bind to the connection: %w", err)
	}
	return key, nil
}
