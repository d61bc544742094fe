package natsbus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hydrawalk/hydra/internal/bus"
)

// head is the message of a key: an envelope, and where it is.
type head struct {
	*envelope
	rev uint64
}

func (h *head) deleted() bool { return h.kind&kindDeleted != 0 }

// Several requests are under way at once, for keys and for parts.
const (
	keysAtOnce  = 8
	partsAtOnce = 4
)

var errGone = errors.New("a part is gone")

// Get implements [bus.Table].
func (t *Table) Get(ctx context.Context, key string) (bus.Value, error) {
	if err := bus.CheckKey(key); err != nil {
		return bus.Value{}, err
	}
	v, err := t.get(ctx, key)
	if err != nil {
		return bus.Value{}, fmt.Errorf("%s: %w", t.what("get", key), t.b.explain(err))
	}
	return v, nil
}

func (t *Table) get(ctx context.Context, key string) (bus.Value, error) {
	var before uint64
	for {
		h, err := t.head(ctx, key)
		if err != nil {
			return bus.Value{}, err
		}
		if h == nil || h.deleted() {
			return bus.Value{}, bus.ErrNoKey
		}
		data, err := t.data(ctx, key, h)
		if err == nil {
			return bus.Value{Key: key, Data: data, Rev: h.rev}, nil
		}
		if !errors.Is(err, errGone) {
			return bus.Value{}, err
		}
		if h.rev == before { // nobody replaced it, who would delete the parts
			return bus.Value{}, fmt.Errorf("%w: %w", errDamaged, err)
		}
		before = h.rev
	}
}

// head asks the leader for the last message of a key; nil: there is none.
func (t *Table) head(ctx context.Context, key string) (*head, error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": t.valueSubject(key)})
	if err != nil {
		return nil, err
	}
	var h *head
	err = t.b.retry(ctx, func(ctx context.Context) error {
		h = nil
		msg, err := t.b.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+streamPrefix+t.name, request)
		if err != nil {
			return err
		}
		var answer struct {
			Error   *apiError `json:"error"`
			Message struct {
				Seq  uint64 `json:"seq"`
				Data []byte `json:"data"`
			} `json:"message"`
		}
		if err := json.Unmarshal(msg.Data, &answer); err != nil {
			return err
		}
		if e := answer.Error; e != nil && e.Code == codeNoMessage {
			_, err := t.info(ctx) // or is it another table?
			return err
		} else if e != nil {
			return e
		}
		e, err := decode(answer.Message.Data)
		if err != nil {
			return err
		}
		h = &head{e, answer.Message.Seq}
		return nil
	})
	return h, err
}

// data puts a value together; errGone if it was replaced.
func (t *Table) data(ctx context.Context, key string, h *head) ([]byte, error) {
	if h.parts == 0 {
		return h.unpack()
	}
	packed := make([][]byte, h.parts)
	err := inParallel(ctx, partsAtOnce, len(packed), func(ctx context.Context, i int) error {
		return t.b.retry(ctx, func(ctx context.Context) (err error) {
			packed[i], err = t.part(ctx, key, h.nonce, i)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	e := *h.envelope
	e.packed = slices.Concat(packed...)
	return e.unpack()
}

func (t *Table) part(ctx context.Context, key string, n nonce, i int) ([]byte, error) {
	subject := t.partSubject(key, n.String()+"."+strconv.Itoa(i))
	msg, err := t.b.nc.RequestWithContext(ctx, "$JS.API.DIRECT.GET."+streamPrefix+t.name+"."+subject, nil)
	if err != nil {
		if errors.Is(err, nats.ErrNoResponders) { // of the stream, or of any
			if _, err := t.info(ctx); err != nil {
				return nil, err
			}
		}
		return nil, err
	}
	switch status := msg.Header.Get("Status"); status {
	case "":
		return msg.Data, nil
	case "404":
		return nil, errGone
	default:
		return nil, fmt.Errorf("get part: %s %s", status, msg.Header.Get("Description"))
	}
}

// List implements [bus.Table].
func (t *Table) List(ctx context.Context, prefix string) ([]bus.Value, error) {
	if err := bus.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	values, err := t.list(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.what("list", prefix+"*"), t.b.explain(err))
	}
	return values, nil
}

func (t *Table) list(ctx context.Context, prefix string) ([]bus.Value, error) {
	var info *jetstream.StreamInfo
	err := t.b.retry(ctx, func(ctx context.Context) (err error) {
		info, err = t.info(ctx, jetstream.WithSubjectFilter(t.valueSubject(prefix+">")))
		return err
	})
	if err != nil {
		return nil, err
	}
	var keys []string
	for subject := range info.State.Subjects {
		key, ok := strings.CutPrefix(subject, t.valueSubject(""))
		if ok && bus.CheckKey(key) == nil {
			keys = append(keys, key)
		}
	}
	values := make([]bus.Value, len(keys))
	err = inParallel(ctx, keysAtOnce, len(keys), func(ctx context.Context, i int) error {
		v, err := t.get(ctx, keys[i])
		if errors.Is(err, bus.ErrNoKey) {
			return nil
		}
		values[i] = v
		return err
	})
	if err != nil {
		return nil, err
	}
	values = slices.DeleteFunc(values, func(v bus.Value) bool { return v.Key == "" })
	slices.SortFunc(values, func(a, b bus.Value) int { return cmp.Compare(a.Key, b.Key) })
	return values, nil
}

// inParallel calls f for 0 to n-1 and returns the first error, after which no call
// begins and the context of those under way ends.
func inParallel(ctx context.Context, limit, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		next  int
		first error
	)
	for range min(limit, n) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				over := first != nil || i >= n
				mu.Unlock()
				if over {
					return
				}
				if err := f(ctx, i); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
					cancel()
				}
			}
		})
	}
	wg.Wait()
	return first
}
