package natsconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"time"
)

// serverLog is the embedded server's logger: its lines go to slog, sampled from
// warnings up, and its fatal errors, after which nats-server expects the process
// to be gone, come out of the fatal channel instead.
type serverLog struct {
	log    *slog.Logger
	sample sampler
	listen string
	leaf   string
	fatal  chan error // holds the first
}

func newServerLog(log *slog.Logger, listen, leaf string) *serverLog {
	return &serverLog{
		log: log, listen: listen, leaf: leaf,
		sample: sampler{burst: 20, window: logWindow}, fatal: make(chan error, 1),
	}
}

// Noticef logs what is worth knowing in the server alone, so to us it is debug.
func (l *serverLog) Noticef(format string, v ...any) { l.write(slog.LevelDebug, format, v) }

// Warnf logs a warning.
func (l *serverLog) Warnf(format string, v ...any) { l.write(slog.LevelWarn, format, v) }

// Errorf logs an error, such as a client who may not connect.
func (l *serverLog) Errorf(format string, v ...any) { l.write(slog.LevelError, format, v) }

// Debugf and Tracef are not asked for: SetLoggerV2 turns them off.
func (l *serverLog) Debugf(string, ...any) {}

// Tracef does nothing; see Debugf.
func (l *serverLog) Tracef(string, ...any) {}

// Fatalf keeps the error for Start and returns. The server's own goroutine then
// goes on; Start shuts it down. It may hold the server's lock, so nothing here
// may call the server.
func (l *serverLog) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- l.explain(format, v):
	default: // the first is the cause
		l.write(slog.LevelError, format, v)
	}
}

func (l *serverLog) write(level slog.Level, format string, v []any) {
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	ok, skipped := true, 0
	if level >= slog.LevelWarn { // notices are few, and must not use up what errors may
		ok, skipped = l.sample.allow(time.Now())
	}
	if ok {
		l.log.Log(context.Background(), level, "nats server", "text", fmt.Sprintf(format, v...), "suppressed", skipped)
	}
}

// explain names the setting behind a fatal error by the sentence it comes in.
func (l *serverLog) explain(format string, v []any) error {
	var cause error
	for _, arg := range v {
		if err, ok := arg.(error); ok {
			cause = err
		}
	}
	switch {
	case cause != nil && strings.HasPrefix(format, "Error listening on port"):
		return listenError("listen", l.listen, cause)
	case cause != nil && strings.HasPrefix(format, "Error listening on leafnode"):
		return listenError("leaf_listen", l.leaf, cause)
	case strings.HasPrefix(format, "Can't start JetStream"):
		return &FieldError{Field: "nats_server.store_dir", Msg: fmt.Sprintf(format, v...), Err: cause}
	}
	return &FieldError{Field: "nats_server", Msg: fmt.Sprintf(format, v...), Err: cause}
}

// listenError says why an address cannot be listened on.
func listenError(field, address string, err error) error {
	fe := &FieldError{Field: "nats_server." + field, Msg: "address " + address + " is in use", Err: err}
	if !errors.Is(err, syscall.EADDRINUSE) {
		fe.Msg = "address " + address + ": " + err.Error()
	}
	return fe
}
