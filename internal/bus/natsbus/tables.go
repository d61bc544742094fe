package natsbus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hydrawalk/hydra/internal/bus"
)

const (
	streamPrefix = "HYDRA_"
	tables       = "hydra.t."
	idKey        = "hydra_id" // in the metadata of a stream
)

// Table is a table. It implements [bus.Table].
type Table struct {
	b    *Bus
	name string
	id   string

	mu    sync.Mutex
	clean map[string]uint64 // revision that this Table wrote and left no parts at
}

var _ bus.Table = (*Table)(nil)

func (b *Bus) table(name, id string) *Table {
	return &Table{b: b, name: name, id: id, clean: map[string]uint64{}}
}

// Create implements [bus.Bus].
func (b *Bus) Create(ctx context.Context, name string) (bus.Table, error) {
	if err := bus.CheckTable(name); err != nil {
		return nil, err
	}
	id := newNonce().String()
	storage := jetstream.FileStorage
	if b.o.Memory {
		storage = jetstream.MemoryStorage
	}
	cfg := jetstream.StreamConfig{
		Name:              streamPrefix + name,
		Subjects:          []string{tables + name + "." + id + ".>"},
		Metadata:          map[string]string{idKey: id},
		Storage:           storage,
		Replicas:          max(1, b.o.Replicas),
		MaxMsgsPerSubject: 1,
		MaxBytes:          -1,
		MaxMsgs:           -1,
		Discard:           jetstream.DiscardNew, // nothing is ever thrown away
		AllowDirect:       true,                 // for parts
		Duplicates:        minDuplicates,
	}
	err := b.retry(ctx, func(ctx context.Context) error {
		_, err := b.js.CreateStream(ctx, cfg)
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return err
		}
		// It may be that of an attempt whose answer was lost.
		info, err := b.info(ctx, name)
		if errors.Is(err, bus.ErrNoTable) || err == nil && info.Config.Metadata[idKey] != id {
			return bus.ErrExists
		}
		return err
	})
	if err != nil {
		return nil, b.changing("create table "+name, err)
	}
	return b.table(name, id), nil
}

// Open implements [bus.Bus].
func (b *Bus) Open(ctx context.Context, name string) (bus.Table, error) {
	if err := bus.CheckTable(name); err != nil {
		return nil, err
	}
	var info *jetstream.StreamInfo
	err := b.retry(ctx, func(ctx context.Context) (err error) {
		info, err = b.info(ctx, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open table %s: %w", name, b.explain(err))
	}
	id := info.Config.Metadata[idKey]
	if id == "" || bus.CheckTable(id) != nil {
		return nil, fmt.Errorf("open table %s: stream %s%s is not one of ours: %w", name, streamPrefix, name, bus.ErrNoTable)
	}
	return b.table(name, id), nil
}

// info returns ErrNoTable, or an error of JetStream.
func (b *Bus) info(ctx context.Context, name string, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	stream, err := b.js.Stream(ctx, streamPrefix+name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, bus.ErrNoTable
	}
	if err != nil {
		return nil, err
	}
	if len(opts) == 0 {
		return stream.CachedInfo(), nil
	}
	return stream.Info(ctx, opts...)
}

// info returns ErrNoTable as well if the table is another one now.
func (t *Table) info(ctx context.Context, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	info, err := t.b.info(ctx, t.name, opts...)
	if err == nil && info.Config.Metadata[idKey] != t.id {
		return nil, bus.ErrNoTable
	}
	return info, err
}

// Tables implements [bus.Bus].
func (b *Bus) Tables(ctx context.Context) ([]string, error) {
	var names []string
	err := b.retry(ctx, func(ctx context.Context) error {
		names = nil
		list := b.js.StreamNames(ctx, jetstream.WithStreamListSubject(tables+">"))
		for stream := range list.Name() {
			if name, ok := strings.CutPrefix(stream, streamPrefix); ok {
				names = append(names, name)
			}
		}
		return list.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", b.explain(err))
	}
	slices.Sort(names)
	return names, nil
}

// Drop implements [bus.Bus].
func (b *Bus) Drop(ctx context.Context, name string) error {
	if err := bus.CheckTable(name); err != nil {
		return err
	}
	lost := false // an answer
	err := b.retry(ctx, func(ctx context.Context) error {
		err := b.js.DeleteStream(ctx, streamPrefix+name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			if lost {
				return nil
			}
			return bus.ErrNoTable
		}
		lost = err != nil
		return err
	})
	if err != nil {
		return b.changing("drop table "+name, err)
	}
	return nil
}

// changing is the error of what changes something.
func (b *Bus) changing(what string, err error) error {
	err = b.explain(err)
	for _, known := range []error{bus.ErrExists, bus.ErrNoTable, bus.ErrConflict, bus.ErrTooLarge, bus.ErrAuth, bus.ErrUnknown} {
		if errors.Is(err, known) {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return fmt.Errorf("%s: %w: %w", what, bus.ErrUnknown, err)
}

// Name implements [bus.Table].
func (t *Table) Name() string { return t.name }

func (t *Table) valueSubject(key string) string {
	return tables + t.name + "." + t.id + ".v." + key
}

// partSubject has a colon behind the key, which no key has in it, so that no key's parts
// are below another's.
func (t *Table) partSubject(key, rest string) string {
	return tables + t.name + "." + t.id + ".p." + key + ".:." + rest
}

func (t *Table) what(op, key string) string { return op + " " + key + " in table " + t.name }
