package natsd

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats-server/v2/server"
)

// Traffic is what went through a server since it was started.
type Traffic struct {
	In, Out           int64  // messages that were received and sent
	InBytes, OutBytes int64  // of these
	Writes            uint64 // to the tables that there are, also by servers before
}

// Traffic counts. It is for measurements.
func (s *Server) Traffic() (Traffic, error) {
	v, err := s.s.Varz(nil)
	if err != nil {
		return Traffic{}, err
	}
	t := Traffic{In: v.InMsgs, Out: v.OutMsgs, InBytes: v.InBytes, OutBytes: v.OutBytes}
	js, err := s.s.Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		return t, err
	}
	for _, a := range js.AccountDetails {
		for _, stream := range a.Streams {
			t.Writes += stream.State.LastSeq
		}
	}
	return t, nil
}

// logTraffic says at debug what went through the server.
func (s *Server) logTraffic() {
	if !s.log.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	if t, err := s.Traffic(); err == nil {
		s.log.log.Debug("traffic", "in", t.In, "out", t.Out, "in_bytes", t.InBytes, "out_bytes", t.OutBytes, "writes", t.Writes)
	}
}
