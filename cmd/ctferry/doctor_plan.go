package main

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/admin"
	"github.com/ctferry/ctferry/internal/doctor"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/flow"
)

// planOf is what a configuration asks of the host and of others. Without a file
// there is only what the source asks.
func planOf(cfg *configs.Config, file string) *doctor.Plan {
	p := &doctor.Plan{Buffer: int(cfg.Source.Buffer), MaxBuffer: int(cfg.Source.Max), Receive: cfg.Source.Receive}
	if file == "" {
		return p
	}
	for _, w := range cfg.Warnings {
		p.Warnings = append(p.Warnings, w.Error())
	}
	for _, name := range source.Absent(cfg.Source.NetNS) {
		p.Warnings = append(p.Warnings, "source.netns: there is no network namespace "+name+" under /run/netns now: nothing is read of it until there is")
	}
	wantFilter(p, cfg.Source.Filter)
	for i := range cfg.Sinks {
		addSink(p, cfg, &cfg.Sinks[i], file)
	}
	if s := &cfg.Spool; s.Mode != sinks.SpoolOff {
		p.Dirs = append(p.Dirs, doctor.Directory{
			Key: "spool.dir", Path: s.Dir, Make: true, Room: uint64(s.Max), Free: uint64(s.MinFree), Own: func() uint64 { return taken(s.Dir) },
		})
	}
	addServer(p, &cfg.NATSServer)
	addControl(p, cfg)
	addAdmin(p, &cfg.Admin)
	return p
}

// wantFilter notes what a filter asks of the kernel.
func wantFilter(p *doctor.Plan, f *flow.Filter) {
	if f == nil {
		return
	}
	for _, term := range slices.Concat(f.Include, f.Exclude) {
		for i := range term {
			switch q := &term[i]; q.Field {
			case flow.FieldLabel, flow.FieldLabels:
				p.Labels = true
			case flow.FieldZone:
				wantZones(p, q)
			}
		}
	}
}

// maxZones bounds how many zones of a filter are looked for.
const maxZones = 16

// wantZones notes the zones that are named one by one; a range is no wish.
func wantZones(p *doctor.Plan, q *flow.Predicate) {
	for _, r := range q.Ranges {
		if zone := uint16(r.Lo); r.Lo == r.Hi && zone != 0 && !slices.Contains(p.Zones, zone) && len(p.Zones) < maxZones {
			p.Zones = append(p.Zones, zone)
		}
	}
}

// addSink adds what a sink asks.
func addSink(p *doctor.Plan, cfg *configs.Config, c *sinks.Config, file string) {
	key := "sinks." + c.Name
	if f, ok := c.Filter.(*flow.Filter); ok {
		wantFilter(p, f)
	}
	p.Labels = p.Labels || slices.Contains(c.Fields, "labels") || slices.Contains(c.Fields, "label_names")
	p.LabelNames = p.LabelNames || slices.Contains(c.Fields, "label_names")
	if c.DeadLetter.Path != "" {
		p.Dirs = append(p.Dirs, doctor.Directory{Key: key + ".dead_letter", Path: filepath.Dir(c.DeadLetter.Path), Room: uint64(c.DeadLetter.Max)})
	}
	switch o := c.Options.(type) {
	case *sinks.FileOptions:
		p.Dirs = append(p.Dirs, fileDirectory(key, o))
	case *sinks.KafkaOptions:
		p.Brokers = append(p.Brokers, doctor.Broker{Key: key, Where: "kafka topic " + o.Topic, Probe: kafkaProbe(cfg, c, o)})
		p.Certs = append(p.Certs, certificates(key+".tls", o.TLS)...)
	case *sinks.NATSOptions:
		b := doctor.Broker{Key: key, Where: "nats subject " + o.Subject}
		if o.JetStream.On() {
			b.Where = "nats stream " + o.JetStream.Stream
		} else {
			b.BestEffort = "core NATS acknowledges nothing"
			b.Remedy = "ctferry check " + file + " --set " + key + ".jetstream.stream=CTFERRY"
		}
		if o.Embedded {
			b.Where += " on the server inside the process"
		} else {
			b.Probe = natsProbe(cfg, c, o)
		}
		p.Brokers = append(p.Brokers, b)
		p.Certs = append(p.Certs, certificates(key+".tls", o.TLS)...)
	}
}

// fileDirectory is where a sink of files writes, and what its files may take: so
// many rotated ones and the live one.
func fileDirectory(key string, o *sinks.FileOptions) doctor.Directory {
	d := doctor.Directory{Key: key, Path: o.Base}
	if d.Path == "" {
		d.Path = fixedFolder(o.Path)
	}
	r := &o.Rotate
	switch {
	case r.MaxTotal > 0:
		d.Room = uint64(r.MaxTotal)
	case r.Size > 0 && r.Keep > 0:
		d.Room = uint64(r.Size) * uint64(r.Keep+1)
	}
	stem, _, _ := strings.Cut(o.Path, "%")
	stem = strings.TrimSuffix(stem, filepath.Ext(o.Path))
	d.Own = func() uint64 { return taken(stem + "*") }
	return d
}

// fixedFolder is the folder in which a path with fields begins.
func fixedFolder(path string) string {
	folder := filepath.Dir(path)
	for strings.ContainsAny(folder, "%{}") {
		folder = filepath.Dir(folder)
	}
	return folder
}

// certificates are the files of a TLS section.
func certificates(key string, t option.TLS) (all []doctor.Certificate) {
	for _, c := range []doctor.Certificate{{Key: key + ".cert_file", Path: t.CertFile}, {Key: key + ".ca_file", Path: t.CAFile}} {
		if c.Path != "" {
			all = append(all, c)
		}
	}
	return all
}

// addServer adds what the server inside the process asks.
func addServer(p *doctor.Plan, n *configs.NATSServer) {
	if !n.Enabled {
		return
	}
	s := &n.Server
	if s.Listen != "" {
		p.Ports = append(p.Ports, doctor.Port{Key: "nats_server.listen", Address: s.Listen})
	}
	p.Dirs = append(p.Dirs,
		doctor.Directory{Key: "nats_server.store_dir", Path: s.StoreDir, Make: true, Room: uint64(s.JetStream.MaxStore), Own: func() uint64 { return taken(s.StoreDir) }},
		doctor.Directory{Key: "nats_server.credentials.dir", Path: n.Credentials.Dir, Make: true})
	p.Certs = append(p.Certs, certificates("nats_server.tls", option.TLS{CertFile: s.TLS.CertFile, CAFile: s.TLS.CAFile})...)
}

// addAdmin adds what the admin port asks.
func addAdmin(p *doctor.Plan, a *admin.Config) {
	if !a.On() {
		return
	}
	if a.Unix() == "" {
		p.Ports = append(p.Ports, doctor.Port{Key: "admin.listen", Address: a.Listen})
	}
	if err := a.BasicAuth.Check(); err != nil {
		p.Faults = append(p.Faults, err.Error())
	}
	p.Certs = append(p.Certs, certificates("admin.tls", option.TLS{CertFile: a.TLS.CertFile, CAFile: a.TLS.CAFile})...)
}

// addControl adds what control asks.
func addControl(p *doctor.Plan, cfg *configs.Config) {
	k := &cfg.Control
	if !k.Enabled {
		return
	}
	if slices.ContainsFunc(k.Allow, control.Verb.Writes) {
		p.Dirs = append(p.Dirs, doctor.Directory{
			Key: "control.audit", Path: filepath.Dir(k.Audit.Path), Room: uint64(k.Audit.Max) * uint64(k.Audit.Keep+1), Own: func() uint64 { return taken(k.Audit.Path + "*") },
		})
	}
	if cfg.ControlConnection == configs.Embedded {
		return // nobody else has this server
	}
	p.Certs = append(p.Certs, certificates("control.connection.tls", k.Connection.TLS)...)
	p.Brokers = append(p.Brokers, doctor.Broker{Key: "control", Where: "nats connection " + cfg.ControlConnection, Probe: connectionProbe(k.Connection)})
	p.Node = &doctor.Node{Name: cfg.Node, Who: func(ctx context.Context) ([]string, error) { return whoServes(ctx, cfg) }}
}

// Who asks for a node's name waits for answers as long as control.Service does, about.
const whoWait = 500 * time.Millisecond

// whoServes gives the runs that answer for this node's name.
func whoServes(ctx context.Context, cfg *configs.Config) (runs []string, err error) {
	nc, err := natsconn.Dial(ctx, cfg.Control.Connection, natsconn.Callbacks{}, nil)
	if err != nil {
		return nil, doctor.ErrElsewhere // the connection is a check of its own
	}
	defer nc.Close()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	who := control.Subjects{Prefix: cfg.Control.Prefix, Site: cfg.Control.Site}.Node(cfg.Node, control.TableAgent, "who")
	if err := nc.PublishRequest(who, inbox, nil); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, whoWait)
	defer cancel()
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrNoResponders):
			slices.Sort(runs)
			return runs, nil
		case err != nil:
			return nil, err
		}
		var answer struct{ Run string }
		if json.Unmarshal(m.Data, &answer) == nil && answer.Run != "" {
			runs = append(runs, answer.Run)
		}
	}
}
