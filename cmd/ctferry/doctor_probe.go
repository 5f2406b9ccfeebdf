package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/doctor"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/sinks"
)

// sinkProbe asks a sink's other side.
type sinkProbe struct {
	cfg  *configs.Config
	sink *sinks.Config

	// The commands that mend what is wrong, by the step.
	reach, place, write string
}

// Probe implements doctor.Prober.
func (p *sinkProbe) Probe(ctx context.Context) []doctor.Problem {
	c := p.sink
	made, err := c.Options.New(sinks.Env{
		Name: c.Name, Node: p.cfg.Node, Format: encode.Formats()[c.Encoding], Group: c.Group, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return []doctor.Problem{{Severity: doctor.Fail, Text: err.Error()}}
	}
	prober, ok := made.(sinks.Prober)
	if !ok {
		return nil
	}
	err = prober.Probe(ctx, c.Types())
	var at *sinks.ProbeError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &at):
		return []doctor.Problem{{Severity: doctor.Fail, Text: err.Error()}}
	case at.Step == sinks.ProbeUnsure:
		return []doctor.Problem{{Severity: doctor.Unknown, Text: at.Error()}}
	}
	fix := map[sinks.ProbeStep]string{sinks.ProbeReach: p.reach, sinks.ProbePlace: p.place, sinks.ProbeWrite: p.write}[at.Step]
	return []doctor.Problem{{Severity: doctor.Fail, Text: at.Error(), Fix: fix}}
}

// kafkaProbe asks the brokers about the topic.
func kafkaProbe(cfg *configs.Config, c *sinks.Config, o *sinks.KafkaOptions) doctor.Prober {
	servers := strings.Join(o.Brokers, ",")
	user := o.SASL.User
	if user == "" {
		user = "ANONYMOUS"
	}
	return &sinkProbe{
		cfg: cfg, sink: c,
		reach: "kafka-broker-api-versions.sh --bootstrap-server " + servers,
		place: fmt.Sprintf("kafka-topics.sh --bootstrap-server %s --create --topic %s", servers, o.Topic),
		write: fmt.Sprintf("kafka-acls.sh --bootstrap-server %s --add --allow-principal User:%s --operation Write --operation Describe --topic %s", servers, user, o.Topic),
	}
}

// natsProbe asks the server about the subjects and the stream.
func natsProbe(cfg *configs.Config, c *sinks.Config, o *sinks.NATSOptions) doctor.Prober {
	servers := strings.Join(o.URLs, ",")
	p := &sinkProbe{
		cfg: cfg, sink: c,
		reach: "nats --server " + servers + " server check connection",
		write: "permissions: {publish: {allow: [\"" + anySubject(o.Subject) + "\"]}} # of this user, in nats-server.conf",
	}
	if o.CredsFile != "" {
		p.write = "nsc edit user --allow-pub '" + anySubject(o.Subject) + "'"
	}
	if o.JetStream.On() {
		p.place = fmt.Sprintf("nats --server %s stream add %s --subjects '%s' --defaults", servers, o.JetStream.Stream, anySubject(o.Subject))
	}
	return p
}

// anySubject is the subject with a wildcard in each token that has a field.
func anySubject(subject string) string {
	tokens := strings.Split(subject, ".")
	for i, t := range tokens {
		if strings.Contains(t, "{") {
			tokens[i] = "*"
		}
	}
	return strings.Join(tokens, ".")
}

// connectionProbe asks whether NATS takes us at all.
type connectionProbe natsconn.Config

// Probe implements doctor.Prober.
func (p connectionProbe) Probe(ctx context.Context) []doctor.Problem {
	nc, err := natsconn.Dial(ctx, natsconn.Config(p), natsconn.Callbacks{}, nil)
	if err != nil {
		return []doctor.Problem{{Severity: doctor.Fail, Text: err.Error(), Fix: "nats --server " + strings.Join(p.URLs, ",") + " server check connection"}}
	}
	nc.Close()
	return nil
}

// taken is how many bytes the files of a folder, or those that a pattern
// matches, take.
func taken(pattern string) (bytes uint64) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return 0
	}
	for _, path := range paths {
		_ = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // it has gone
			}
			if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
				bytes += uint64(info.Size())
			}
			return nil
		})
	}
	return bytes
}
