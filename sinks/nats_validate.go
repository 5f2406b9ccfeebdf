package sinks

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/option"
)

// The bounds of the keys.
const (
	natsMinMessageBytes = 4 * option.KiB
	natsMaxMessageBytes = 64 * option.MiB // nats-server's own
	natsMaxInFlight     = 1024
	natsMinTimeout      = 10 * time.Millisecond
	natsMaxTimeout      = 10 * time.Minute
	natsMaxReplicas     = 5 // nats-server: StreamMaxReplicas
)

// Validate reports every fault of the options.
func (o *NATSOptions) Validate() error {
	var fs option.Faults
	o.validateConnection(&fs)
	if _, err := parseNATSSubject(o.Subject); err != nil {
		fs.Add("subject", err.Error())
	}
	o.validateHeaders(&fs)
	within(&fs, "max_message_bytes", o.MaxMessageBytes, natsMinMessageBytes, natsMaxMessageBytes)
	within(&fs, "connect_timeout", o.ConnectTimeout, natsMinTimeout, natsMaxTimeout)
	within(&fs, "publish_timeout", o.PublishTimeout, natsMinTimeout, natsMaxTimeout)
	within(&fs, "max_in_flight", o.MaxInFlight, 1, natsMaxInFlight)
	if o.MaxInFlight > 1 && !o.JetStream.On() {
		fs.Add("max_in_flight", "has no effect without jetstream.stream")
	}
	fs.Join("jetstream", o.JetStream.validate())
	return fs.Err()
}

// validateConnection takes over what natsconn finds wrong; its fields bear the
// names of our keys.
func (o *NATSOptions) validateConnection(fs *option.Faults) {
	conf := o.connection(Env{})
	if o.InProcess != nil || o.Embedded {
		conf.URLs = []string{"nats://in-process"} // not used
	}
	natsFieldFaults(fs, conf.Validate())
}

// natsFieldFaults turns the errors of natsconn into faults.
func natsFieldFaults(fs *option.Faults, err error) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			natsFieldFaults(fs, e)
		}
		return
	}
	var field *natsconn.FieldError
	switch {
	case err == nil:
	case errors.As(err, &field):
		fs.Add(field.Field, field.Msg)
	default:
		fs.Add("", err.Error())
	}
}

// validateHeaders keeps off what a header cannot be, our own, and NATS's own,
// some of which would purge the stream.
func (o *NATSOptions) validateHeaders(fs *option.Faults) {
	for name, value := range o.Headers {
		key := option.Below("headers", name)
		switch {
		case name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }):
			fs.Add(key, fmt.Sprintf("%q cannot be a header's name", name))
		case strings.EqualFold(name, headerContentType) || strings.EqualFold(name, headerSchema):
			fs.Add(key, fmt.Sprintf("%q cannot be set: the sink sets it", name))
		case len(name) >= 5 && strings.EqualFold(name[:5], "nats-"):
			fs.Add(key, fmt.Sprintf("%q cannot be set: names that begin with Nats- are orders to the server", name))
		case strings.ContainsAny(value, "\r\n"):
			fs.Add(key, "must be one line")
		}
	}
}

// validate checks the stream's keys.
func (j *NATSJetStream) validate() error {
	var fs option.Faults
	if !j.On() {
		if *j != (NATSJetStream{Manage: natsManageNone}) {
			fs.Add("stream", "missing: expected the name of a stream")
		}
		return fs.Err()
	}
	if strings.ContainsFunc(j.Stream, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`.*>/\`, r) }) {
		fs.Add("stream", fmt.Sprintf("%q cannot be a stream's name", j.Stream))
	}
	oneOf(&fs, "manage", j.Manage, natsManageNone, natsManageCreate, natsManageUpdate)
	j.validateLimits(&fs)
	return fs.Err()
}

func (j *NATSJetStream) validateLimits(fs *option.Faults) {
	if j.Manage == natsManageNone {
		if *j != (NATSJetStream{Stream: j.Stream, Manage: natsManageNone}) {
			fs.Add("manage", "none leaves the stream as it is, so the other keys have no effect: expected create or update")
		}
		return
	}
	if j.Storage != "" {
		oneOf(fs, "storage", j.Storage, natsFile, natsMemory)
	}
	if j.Discard != "" {
		oneOf(fs, "discard", j.Discard, natsDiscardOld, natsDiscardNew)
	}
	within(fs, "replicas", j.Replicas, 0, natsMaxReplicas)
	within(fs, "max_bytes", j.MaxBytes, 0, option.Size(1)<<62)
	if j.MaxBytes == 0 && j.MaxAge == 0 {
		fs.Add("max_bytes", "missing: a stream that the sink may create needs max_bytes or max_age, else it would grow for ever")
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"max_age", j.MaxAge}, {"duplicate_window", j.DuplicateWindow}} {
		if d.value != 0 && d.value < 100*time.Millisecond { // nats-server's least
			fs.Add(d.key, fmt.Sprintf("%s is too short: expected at least 100ms", d.value))
		}
	}
	if j.MaxAge > 0 && j.DuplicateWindow > j.MaxAge {
		fs.Add("duplicate_window", fmt.Sprintf("%s is longer than max_age, %s", j.DuplicateWindow, j.MaxAge))
	}
}

// Unordered tells why a flow's events may stand out of their order in the
// stream under these options, or "". Core NATS keeps it for whoever receives
// all subjects in one subscription.
func (o *NATSOptions) Unordered() string {
	if o.JetStream.On() && o.MaxInFlight > 1 {
		return fmt.Sprintf("max_in_flight: %d lets later messages stand before one that is sent again; with 1 and batch: ndjson or record_batch order is kept and throughput is high", o.MaxInFlight)
	}
	return ""
}
