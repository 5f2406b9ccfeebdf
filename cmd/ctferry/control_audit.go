package main

import (
	"time"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source/flow"
)

// auditSink is the account under which audit records are sent: no sink of the
// configuration can have this name.
const auditSink = "control.audit"

// auditFeed sends audit records, by an outlet of its own: it is queued, tried
// again and accounted for like a sink's records. What does not fit is dropped
// and counted; the audit's file has it. The queue's loss is told by a gap
// record, which says by its schema that it is one.
type auditFeed struct {
	outlet *sinks.Outlet
	origin *flow.Origin
	seq    uint64
}

// Audited implements control.AuditFeed. Calls do not overlap.
func (f *auditFeed) Audited(record []byte) {
	f.seq++
	f.outlet.Offer(&sinks.Record{Value: record, Seq: f.seq, Time: time.Now().UnixNano(), Type: flow.TypeStatus, Origin: f.origin})
}

// auditConfig is the outlet's configuration: control's own connection and its
// subject for audits.
func auditConfig(cfg *configs.Config) (sinks.Config, error) {
	c, err := sinks.NewConfig(auditSink, "nats")
	if err != nil {
		return c, err
	}
	c.Memory, c.Drain = 4*option.MiB, 2*time.Second
	c.Flush.Bytes = 256 * option.KiB
	k := cfg.Control.Connection
	o, _ := c.Options.(*sinks.NATSOptions)
	o.URLs, o.CredsFile, o.NkeyFile, o.Token, o.TokenFile = k.URLs, k.CredsFile, k.NkeyFile, k.Token, k.TokenFile
	o.User, o.Password, o.PasswordFile = k.User, k.Password, k.PasswordFile
	o.TLS, o.TLSHandshakeFirst, o.InboxPrefix = k.TLS, k.TLSHandshakeFirst, k.InboxPrefix
	o.Embedded = cfg.ControlConnection == configs.Embedded
	o.Subject = control.Subjects{Prefix: cfg.Control.Prefix, Site: cfg.Control.Site}.Audit(cfg.Node)
	o.Schema = control.AuditSchema
	return c, nil
}
