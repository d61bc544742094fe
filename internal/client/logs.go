package client

import (
	"log/slog"
	"sync"
	"time"

	"github.com/hydrawalk/hydra/internal/joblog"
	"github.com/hydrawalk/hydra/internal/ledger"
	"github.com/hydrawalk/hydra/internal/wire"
)

// logName is the name of the client's own loggers.
const logName = "client"

// logs are the logs of the jobs that the client has to do with. Any goroutine may
// ask for one.
type logs struct {
	base *slog.Logger // without a name

	mu  sync.Mutex
	all map[string]*jobLog
}

// jobLog is the log of one job, and what was told of it.
type jobLog struct {
	*joblog.Log
	used    time.Time
	told    uint64 // records
	dropped uint64 // that the server was told of
}

func (l *logs) init(base *slog.Logger) { l.base, l.all = base, map[string]*jobLog{} }

// of is the log of a job; "": of what is about no job.
func (l *logs) of(job string) *joblog.Log { return l.find(job).Log }

func (l *logs) find(job string) *jobLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := l.all[job]
	if j == nil {
		j = &jobLog{Log: joblog.NewForwarding(l.base, job)}
		l.all[job] = j
	}
	j.used = time.Now()
	return j
}

// list are all, by job.
func (l *logs) list() map[string]*jobLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]*jobLog, len(l.all))
	for job, j := range l.all {
		all[job] = j
	}
	return all
}

// forgetAfter is how long a log is kept of whose job nothing was heard.
const forgetAfter = 10 * time.Minute

// forget forgets the logs that nobody uses any more.
func (l *logs) forget(inUse func(job string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for job, j := range l.all {
		if job != "" && time.Since(j.used) > forgetAfter && !inUse(job) {
			delete(l.all, job)
		}
	}
}

// mostLogs is how many bytes of records are told of a job at a time: they have to
// fit into a message.
const mostLogs = 24 << 10

// fewLogs are not all that fit into a message.
const fewLogs = 16

// tellLogs tells the server what somebody should look at. Without a connection it
// is kept for as long as there is room. Only the client's goroutine calls it.
func (c *client) tellLogs() {
	if !c.connected() {
		return
	}
	for job, j := range c.logs.list() {
		for {
			records, dropped := j.Take(mostLogs)
			if len(records) == 0 && dropped == j.dropped {
				break
			}
			// What is lost on the way is noticed by the numbers.
			_ = c.o.Bus.Publish(wire.SubjectLogs(c.id), ledger.Encode(wire.Logs{
				Client: c.id, Host: c.o.Host, Job: job, Seq: j.told + 1, Records: records, Dropped: dropped,
			}))
			j.told += uint64(len(records))
			if j.dropped = dropped; len(records) < fewLogs {
				break // there is hardly more
			}
		}
	}
	c.logs.forget(func(job string) bool { return c.sessions[job] != nil || c.seen[job] || c.opening[job] })
}

// where is where the sessions of this client are.
func (c *client) where(log *joblog.Log) Where {
	return Where{Client: c.id, Host: c.o.Host, Log: log}
}

// SetLevels changes from which level on this client logs about the job, by name:
// walk, client, or the application's. Without levels, those of the command line
// hold again. Any goroutine may call it.
func (s *session) SetLevels(levels map[string]string) error {
	parsed, err := joblog.ParseLevels(levels, s.spec.App)
	if err != nil {
		return err
	}
	s.c.logs.of(s.spec.Job).SetLevels(parsed)
	return nil
}
