package server

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/bus"
	"github.com/hydrawalk/hydra/internal/joblog"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// logName is the name of the server's own loggers.
const logName = "server"

// Bounds of what clients log. Whoever they are, they can not fill our log.
const (
	logsPerSecond    = 50  // of one client
	logsBurst        = 300 // what it may have kept while it had no connection
	allLogsPerSecond = 500
	allLogsBurst     = 3000
	mostTellers      = 4096
	mostLost         = 1 << 30 // that a message can tell of: it is anybody's word
	mostLogText      = 1000
	mostLogName      = 64
	keptWarnings     = 100     // of a job
	answerWarnings   = 8 << 10 // bytes of them in an answer
)

// tellers are the clients that log something. Only the goroutine of the
// subscription touches it.
type tellers struct {
	log  *slog.Logger // without a name
	all  bucket
	of   map[ledger.ClientID]*teller
	tidy time.Time
}

// teller is a client that logs something.
type teller struct {
	bucket
	heard time.Time
	lost  uint64           // that were too many, and are not told of yet
	next  map[string]place // by job
}

// place is how far a client is with what it tells of a job.
type place struct{ seq, dropped uint64 }

func (t *tellers) init(log *slog.Logger) {
	t.log, t.of, t.all = log, map[ledger.ClientID]*teller{}, bucket{rate: allLogsPerSecond, most: allLogsBurst}
}

// find is what is known of a client; nil: there are too many.
func (t *tellers) find(id ledger.ClientID) *teller {
	if time.Since(t.tidy) > time.Minute {
		t.tidy = time.Now()
		for id, c := range t.of {
			if time.Since(c.heard) > time.Hour {
				delete(t.of, id)
			}
		}
	}
	c := t.of[id]
	if c == nil {
		if len(t.of) >= mostTellers {
			return nil
		}
		c = &teller{bucket: bucket{rate: logsPerSecond, most: logsBurst}, next: map[string]place{}}
		t.of[id] = c
	}
	c.heard = time.Now()
	return c
}

// logged takes in what a client logs.
func (s *server) logged(m bus.Msg) {
	var l wire.Logs
	if wire.Decode(m.Data, &l) != nil || l.Client != wire.Sender(m.Subject) {
		return
	}
	c := s.told.find(l.Client)
	if c == nil {
		return
	}
	s.mu.Lock()
	j := s.jobs[l.Job] // nil: of none, or of one that is not known
	s.mu.Unlock()
	var w *warnings
	if j != nil {
		w = &j.warnings
	}
	host, client := joblog.Clean(l.Host, mostLogName), ledger.ClientID(joblog.Clean(string(l.Client), mostLogName))
	about := []slog.Attr{slog.String("client", string(client)), slog.String("host", host)}
	if j == nil && l.Job != "" {
		about = append(about, slog.String(joblog.JobKey, joblog.Clean(l.Job, mostLogName)))
	}
	write := func(level slog.Level, logger, text string, more ...slog.Attr) {
		// By the name that it has there: the levels of that name hold.
		log := s.told.log.With(joblog.NameKey, logger)
		if j != nil {
			log = j.logs.Logger(logger)
		}
		log.LogAttrs(context.Background(), level, text, append(more, about...)...)
	}

	missing := c.missing(&l)
	var tooMany uint64
	for i := range l.Records {
		r := &l.Records[i]
		if !c.take() || !s.told.all.take() {
			tooMany++
			continue
		}
		text, name := joblog.Clean(r.Text, mostLogText), joblog.Clean(r.Logger, mostLogName)
		var more []slog.Attr
		if r.Count > 1 {
			more = append(more, slog.Int("times", r.Count))
		}
		write(min(max(r.Level, slog.LevelWarn), slog.LevelError), name, text, more...)
		w.add(wire.Warning{At: near(r.At), Client: client, Host: host, Logger: name, Text: text})
	}
	w.lose(missing + tooMany)
	c.lost += missing + tooMany
	// Once for many, also for who does nothing else.
	if c.lost > 0 && c.say() {
		write(slog.LevelWarn, logName, "warnings of a client were lost", slog.Uint64("lost", c.lost))
		c.lost = 0
	}
}

// missing is how many records did not come that the client logged since the last
// message.
func (c *teller) missing(l *wire.Logs) uint64 {
	at, known := c.next[l.Job]
	if !known && len(c.next) >= mostTellers {
		clear(c.next) // a client that makes up jobs
	}
	var n uint64
	if known && l.Seq > at.seq {
		n = l.Seq - at.seq
	}
	if !known || l.Seq < at.seq { // it began anew
		at.dropped = 0
	}
	if l.Dropped > at.dropped {
		n += l.Dropped - at.dropped
	}
	c.next[l.Job] = place{l.Seq + uint64(len(l.Records)), l.Dropped}
	return min(n, mostLost)
}

// near is the time of a record, unless the clock of its client is far off.
func near(t time.Time) time.Time {
	if now := time.Now(); t.Before(now.Add(-24*time.Hour)) || t.After(now.Add(24*time.Hour)) {
		return now
	}
	return t
}

// bucket bounds how often something happens. The zero value of its times is full.
type bucket struct {
	rate, most float64
	used       float64
	at         time.Time // when used was right
	said       time.Time
}

func (b *bucket) take() bool {
	now := time.Now()
	b.used = max(0, b.used-b.rate*now.Sub(b.at).Seconds())
	b.at = now
	if b.used+1 > b.most {
		return false
	}
	b.used++
	return true
}

// say tells whether it may be said that there was too much: not each time.
func (b *bucket) say() bool {
	if time.Since(b.said) < time.Second {
		return false
	}
	b.said = time.Now()
	return true
}

// warnings are the last ones of clients about a job. A nil one takes none. Any
// goroutine may use it.
type warnings struct {
	mu   sync.Mutex
	all  []wire.Warning
	lost uint64
}

func (w *warnings) add(n wire.Warning) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.all) == keptWarnings {
		w.all = append(w.all[:0], w.all[1:]...)
	}
	w.all = append(w.all, n)
}

func (w *warnings) lose(n uint64) {
	if w == nil || n == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lost += n
}

// last are the last ones that fit into so many bytes, the oldest first, and how
// many got lost on their way here.
func (w *warnings) last(bytes int) ([]wire.Warning, uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := len(w.all)
	for i > 0 {
		n := &w.all[i-1]
		if bytes -= len(n.Text) + len(n.Host) + len(n.Client) + len(n.Logger) + 100; bytes < 0 {
			break
		}
		i--
	}
	return append([]wire.Warning(nil), w.all[i:]...), w.lost
}

// SetLevels changes from which level on this server logs about the job: that of
// the name server, or of "". Without levels, those of the command line hold again.
// Any goroutine may call it.
func (j *job) SetLevels(levels map[string]string) error {
	parsed, err := joblog.ParseLevels(levels, j.spec.App)
	if err != nil {
		return err
	}
	j.logs.SetLevels(parsed)
	return nil
}
