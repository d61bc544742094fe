package find

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/owner"
)

// names are those of users or groups, asked for once in a process: a directory service may be
// slow.
type names struct {
	ask func(context.Context, []uint32) (map[uint32]string, error)

	mu    sync.Mutex
	known map[uint32]string
}

var (
	users  = &names{ask: owner.Users, known: map[uint32]string{}}
	groups = &names{ask: owner.Groups, known: map[uint32]string{}}
)

// name is the number as text for who has none, or could not be asked for.
func (n *names) name(id uint32) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name, has := n.known[id]; has {
		return name
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	found, _ := n.ask(ctx, []uint32{id}) // the number says who it is, too
	name, has := found[id]
	if !has {
		name = strconv.FormatUint(uint64(id), 10)
	}
	n.known[id] = name
	return name
}
