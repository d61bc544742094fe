package natsbus

import (
	"context"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hydrawalk/hydra/internal/bus"
)

// sweeps is before the subjects at which the removal of old parts is asked for:
//
//	hydra.sweep.<name>.<id>.<key>   the sequence number below which they are of no use
//
// The subject says all that matters, so that rights of NATS decide who may ask. Purging
// is not like that: what it removes stands in the request.
const sweeps = "hydra.sweep."

// removeParts removes the parts of a key that are older than a sequence number.
func (t *Table) removeParts(ctx context.Context, key string, below uint64) error {
	stream, err := t.b.js.Stream(ctx, streamPrefix+t.name)
	if err != nil {
		return err
	}
	return stream.Purge(ctx, jetstream.WithPurgeSubject(t.partSubject(key, ">")), jetstream.WithPurgeSequence(below))
}

// serveSweeps removes parts for those who have no right to.
func (b *Bus) serveSweeps() error {
	sub, err := b.nc.Subscribe(sweeps+">", func(m *nats.Msg) {
		rest := strings.TrimPrefix(m.Subject, sweeps)
		name, rest, _ := strings.Cut(rest, ".")
		id, key, _ := strings.Cut(rest, ".")
		below, err := strconv.ParseUint(string(m.Data), 10, 64)
		if err != nil || bus.CheckTable(name) != nil || bus.CheckTable(id) != nil || bus.CheckKey(key) != nil {
			return // nobody of us wrote it
		}
		// What fails is left to the next wish.
		_ = b.attempt(b.life, func(ctx context.Context) error { return b.table(name, id).removeParts(ctx, key, below) })
	})
	if err != nil {
		return err
	}
	return sub.SetPendingLimits(maxWaiting, maxWaitingBytes)
}
