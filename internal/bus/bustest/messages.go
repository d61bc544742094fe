package bustest

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
)

// collect subscribes, and returns what gives the next message.
func (t *test) collect(b bus.Bus, pattern string) func() bus.Msg {
	t.Helper()
	got := make(chan bus.Msg, 4096)
	_, err := b.Subscribe(pattern, func(m bus.Msg) { got <- m })
	t.no(err)
	return func() bus.Msg {
		t.Helper()
		select {
		case m := <-got:
			return m
		case <-t.ctx.Done():
			t.Fatalf("no message for %s", pattern)
		}
		panic("unreachable")
	}
}

func order(t *test) {
	a, b := t.open(), t.open()
	next := t.collect(b, "n")
	data := make([]byte, 4)
	const n = 2000
	for i := range uint32(n) {
		binary.BigEndian.PutUint32(data, i) // the message has its own bytes
		t.no(a.Publish("n", data))
	}
	for i := range uint32(n) {
		m := next()
		if got := binary.BigEndian.Uint32(m.Data); got != i || m.Subject != "n" || m.Reply != nil {
			t.Fatalf("message %d %v, want %d", got, m, i)
		}
	}
	t.no(a.Publish("n", make([]byte, bus.MaxMessage)))
	if m := next(); len(m.Data) != bus.MaxMessage {
		t.Errorf("%d bytes", len(m.Data))
	}
	t.is(a.Publish("n", make([]byte, bus.MaxMessage+1)), bus.ErrTooLarge)
}

func patterns(t *test) {
	a, b := t.open(), t.open()
	all := []string{"a", "a.b", "a.c", "a.b.c", "b.b", "b"}
	table := t.create(a)
	t.put(table, "k", "not a message", 0)
	next := map[string]func() bus.Msg{}
	for _, p := range []string{"a", "a.*", "*.b", "a.>", ">", "*", "*.*.c", "a.b"} {
		next[p] = t.collect(b, p)
	}
	stopped, err := b.Subscribe("a", func(bus.Msg) { t.Error("a subscription that was stopped got something") })
	t.no(err)
	stopped.Stop()
	stopped.Stop()
	for _, s := range append(all, "end", "a.end", "end.b", "a.b.end.c") {
		t.no(a.Publish(s, []byte(s)))
	}
	t.put(table, "a", "not a message", 0)
	for p, next := range next {
		var want, got []string
		for _, s := range all {
			if bus.Match(p, s) {
				want = append(want, s)
			}
		}
		for range want {
			got = append(got, next().Subject)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s got %q, want %q", p, got, want)
		}
	}
	// Patterns match what they should, by another way of telling.
	for p, want := range map[string]string{
		"a": "a", "a.*": "a.b a.c", "*.b": "a.b b.b", "a.>": "a.b a.c a.b.c", ">": strings.Join(all, " "), "*": "a b", "*.*.c": "a.b.c",
	} {
		var got []string
		for _, s := range all {
			if bus.Match(p, s) {
				got = append(got, s)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s matches %q, want %s", p, got, want)
		}
	}
}

func requests(t *test) {
	a, b := t.open(), t.open()
	_, err := a.Request(t.ctx, "who", nil)
	t.is(err, bus.ErrNoResponder)
	sub, err := b.Subscribe("who.*", func(m bus.Msg) {
		if m.Reply == nil {
			t.Error("no way to reply")
			return
		}
		if err := m.Reply(append(m.Data, '!')); err != nil {
			t.Error(err)
		}
	})
	t.no(err)
	data := []byte("me")
	got, err := a.Request(t.ctx, "who.is", data)
	t.no(err)
	if string(got) != "me!" || string(data) != "me" {
		t.Errorf("%q", got)
	}
	sub.Stop()
	t.no(b.Publish("other", nil))
	_, err = b.Request(t.ctx, "who.is", data)
	t.is(err, bus.ErrNoResponder)

	_, err = b.Subscribe("silent", func(bus.Msg) {})
	t.no(err)
	ctx, cancel := context.WithTimeout(t.ctx, 50*time.Millisecond)
	defer cancel()
	_, err = a.Request(ctx, "silent", nil)
	t.is(err, context.DeadlineExceeded)
}

func names(t *test) {
	b := t.open()
	table := t.create(b)
	for _, bad := range []string{".", "a..b", "a b", "ä", "a.", ".a", "*", ">", "a.>", "a/b", "a\n", strings.Repeat("x", 300)} {
		_, err := table.Get(t.ctx, bad)
		t.is(err, bus.ErrName)
		_, err = table.Put(t.ctx, bad, nil, 0)
		t.is(err, bus.ErrName)
		t.is(table.Delete(t.ctx, bad), bus.ErrName)
		_, err = b.Create(t.ctx, bad)
		t.is(err, bus.ErrName)
		_, err = b.Open(t.ctx, bad)
		t.is(err, bus.ErrName)
		t.is(b.Drop(t.ctx, bad), bus.ErrName)
		t.is(b.Publish(bad, nil), bus.ErrName)
		_, err = b.Request(t.ctx, bad, nil)
		t.is(err, bus.ErrName)
	}
	for _, bad := range []string{"a", "*.", ".", "a..", "a b."} {
		_, err := table.List(t.ctx, bad)
		t.is(err, bus.ErrName)
		_, err = table.Watch(t.ctx, bad)
		t.is(err, bus.ErrName)
	}
	for _, bad := range []string{"", "a..b", ">.a", "a*", "a.>.b"} {
		_, err := b.Subscribe(bad, func(bus.Msg) {})
		t.is(err, bus.ErrName)
	}
}

func contexts(t *test) {
	b := t.open()
	table := t.create(b)
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	_, err := table.Get(ctx, "k")
	t.is(err, context.Canceled)
	_, err = table.List(ctx, "")
	t.is(err, context.Canceled)
	_, err = table.Watch(ctx, "")
	t.is(err, context.Canceled)
	_, err = b.Open(ctx, "T")
	t.is(err, context.Canceled)
	_, err = table.Put(ctx, "k", nil, 0)
	t.is(err, context.Canceled)
	t.is(err, bus.ErrUnknown)
	_, err = b.Create(ctx, "U")
	t.is(err, context.Canceled)
	t.is(err, bus.ErrUnknown)
}

func closed(t *test) {
	b := t.open()
	table := t.create(b)
	up, changed := b.Connected()
	if !up {
		t.Error("not connected")
	}
	t.no(b.Close())
	t.no(b.Close())
	<-changed
	if up, _ := b.Connected(); up {
		t.Error("still connected")
	}
	_, err := table.Get(t.ctx, "k")
	t.is(err, bus.ErrClosed)
	_, err = table.Put(t.ctx, "k", nil, 0)
	t.is(err, bus.ErrClosed)
	_, err = table.Watch(t.ctx, "")
	t.is(err, bus.ErrClosed)
	_, err = b.Create(t.ctx, "U")
	t.is(err, bus.ErrClosed)
	t.is(b.Publish("s", nil), bus.ErrClosed)
	_, err = b.Subscribe("s", func(bus.Msg) {})
	t.is(err, bus.ErrClosed)
	_, err = b.Request(t.ctx, "s", nil)
	t.is(err, bus.ErrClosed)
}
