package hydra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/post"
	"github.com/hydrawalk/hydra/internal/wire"
)

// Topic is a kind of message that the parties of a run or a job send each other: the
// application's part on the server, its clients and their workers, and the user. T is
// any type that JSON can hold. An application names its topics in [App.Topics].
//
// A message comes at least once, and those of one sender come in their order. It is a
// value in the job's table: a message is at most 32 KiB of JSON, and at most 100,000
// are kept of a job. Messages to the server, and those to one client, are removed when
// they were taken in; the others stay as long as the job, and reach clients, workers
// and users that come later as well.
//
// A client that comes back after it was lost is another one: what was sent to the one
// before by its name reaches nobody.
type Topic[T any] struct {
	Name string // as it is typed: letters, digits, - and _
}

// Message is a message as it is received.
type Message[T any] struct {
	// From is who sent it, and an address for an answer: that of a worker is the
	// address of all workers of its client.
	From  Address
	At    time.Time // when it was sent, by the sender's clock
	N     uint64    // numbers all messages of one sender
	Value T
}

// Address is who a message is for, or who sent it.
type Address struct {
	Kind   string // "server", "user", "clients" or "workers"
	Client string // of clients and workers: only this one, or only the workers of this one
}

// The addresses of many. [ToClient] and [ToWorkersOf] make those of one client.
var (
	ToServer  = Address{Kind: string(wire.RoleServer)}
	ToUser    = Address{Kind: string(wire.RoleUser)} // whoever waits for the result
	ToClients = Address{Kind: string(wire.RoleClients)}
	ToWorkers = Address{Kind: string(wire.RoleWorkers)}
)

// ToClient is the address of one client.
func ToClient(id string) Address { return Address{string(wire.RoleClients), id} }

// ToWorkersOf is the address of the workers of one client.
func ToWorkersOf(client string) Address { return Address{string(wire.RoleWorkers), client} }

func (a Address) String() string {
	switch {
	case a.Client == "":
		return a.Kind
	case a.Kind == string(wire.RoleClients):
		return "client " + a.Client
	}
	return a.Kind + " of client " + a.Client
}

func (a Address) wire() (wire.Address, error) {
	w := wire.Address{Role: wire.Role(a.Kind), Client: ledger.ClientID(a.Client)}
	switch w.Role {
	case wire.RoleServer, wire.RoleUser:
		if a.Client == "" {
			return w, nil
		}
	case wire.RoleClients, wire.RoleWorkers:
		if token(a.Client) || a.Client == "" {
			return w, nil
		}
	}
	return w, fmt.Errorf("%q is not the address of anybody", a)
}

func addressOf(w wire.Address) Address { return Address{string(w.Role), string(w.Client)} }

// token tells whether a name can be a part of a key.
func token(name string) bool {
	return name != "" && len(name) <= 64 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// Party is who sends and receives messages: a [Worker], a [Client], a [Coordinator], a
// [Job], or the [User] of a run in this process.
type Party interface {
	parts() *parts
}

// parts are what a party has for messages. The zero value has nothing.
type parts struct {
	topics []TopicInfo
	// desk returns the party's sender. It may wait for it.
	desk    func(context.Context) (*post.Desk, error)
	receive func(topic string, f post.Receiver)
}

var errNoRun = errors.New("there is no run")

// Send sends a message as by, to whoever to names. It returns when the message is
// durable. After an error it is not, nor will be; but if the error is ctx's, or says
// that the outcome is unknown, the message may come yet, before any that is sent later.
func (t Topic[T]) Send(ctx context.Context, by Party, to Address, v T) error {
	err := t.send(ctx, by, to, v)
	if err != nil {
		return fmt.Errorf("send %s to %s: %w", t.Name, to, err)
	}
	return nil
}

func (t Topic[T]) send(ctx context.Context, by Party, to Address, v T) error {
	p := by.parts()
	if err := t.check(p); err != nil {
		return err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w, err := to.wire()
	if err != nil {
		return err
	}
	desk, err := p.desk(ctx)
	if err != nil {
		return err
	}
	return desk.Send(ctx, t.Name, w, data)
}

// check tells why a party does not have the topic.
func (t Topic[T]) check(p *parts) error {
	if p.desk == nil {
		return errNoRun // as a worker of a test
	}
	i := slices.IndexFunc(p.topics, func(info TopicInfo) bool { return info.Name == t.Name })
	switch {
	case i < 0:
		return errors.New("it is not among the Topics of the application")
	case p.topics[i].is != reflect.TypeFor[T]():
		return fmt.Errorf("among the Topics of the application it is one of %v", p.topics[i].is)
	}
	return nil
}

// Receive lets f take in the messages of the topic that are for at, those that are
// there already as well; f takes the place of one that was given before. It is called
// with one message at a time, whatever the topic. If it returns an error, or panics, it
// is called with the same message again a second later, and others wait.
//
// Where it is called, and until when:
//
//	*Worker       on the worker's own goroutine, before the handler's next call.
//	              Receive is called while the handler is made. A fatal error, see
//	              walk.Fatal, ends the walk
//	*Client       on a goroutine of the client, until the session ends
//	*Coordinator  on a goroutine of the server, until the job ends
//	*Job          on a goroutine, while Wait waits; when that returns a result, all
//	              messages to the user were taken in
//	*User         on a goroutine, until Run returns
func (t Topic[T]) Receive(at Party, f func(context.Context, Message[T]) error) error {
	p := at.parts()
	if err := t.check(p); err != nil {
		return fmt.Errorf("receive %s: %w", t.Name, err)
	}
	p.receive(t.Name, func(ctx context.Context, l *wire.Letter) error {
		m := Message[T]{From: addressOf(l.From), At: l.At, N: l.N}
		if err := json.Unmarshal(l.Data, &m.Value); err != nil {
			return &post.Unfit{Err: err} // it would not be better the next time
		}
		return f(ctx, m)
	})
	return nil
}

// Info describes the topic, for [App.Topics].
func (t Topic[T]) Info() TopicInfo {
	return TopicInfo{Name: t.Name, is: reflect.TypeFor[T](), check: func(data []byte) error {
		return json.Unmarshal(data, new(T))
	}}
}

// TopicInfo describes a [Topic]: see [Topic.Info].
type TopicInfo struct {
	Name  string
	is    reflect.Type
	check func(data []byte) error
}

// Check tells why JSON is no message of the topic.
func (t TopicInfo) Check(data json.RawMessage) error {
	if err := t.check(data); err != nil {
		return fmt.Errorf("%s is no message of the topic %s: %w", data, t.Name, err)
	}
	if len(data) > wire.MaxLetter {
		return post.ErrLarge
	}
	return nil
}

// checkTopics tells what is wrong with the topics of an application.
func checkTopics(topics []TopicInfo) error {
	names := map[string]bool{}
	for _, t := range topics {
		switch {
		case t.check == nil:
			return fmt.Errorf("the topic %q was not made by Topic.Info", t.Name)
		case !token(t.Name):
			return fmt.Errorf("%q can not name a topic: letters, digits, - and _ do", t.Name)
		case names[t.Name]:
			return fmt.Errorf("the topic %s is there twice", t.Name)
		}
		names[t.Name] = true
	}
	return nil
}
