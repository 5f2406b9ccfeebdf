package sinks

import (
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ctferry/ctferry/internal/option"
)

// NATSOptions are the keys of a sink of type nats.
//
// Without jetstream.stream it speaks core NATS, which is best effort: a batch
// counts as delivered once the server has taken it, whether or not anybody
// subscribes, and whether or not a subscriber keeps up; when the connection
// breaks in the middle of a batch, all of it is sent again. With it every
// message waits for the stream's acknowledgement.
//
// Messages carry the headers Content-Type and ctferry-schema and, for
// JetStream, Nats-Msg-Id: <node>.<run>.<sink>.<first>-<last>, the sequence
// numbers of the first and the last record in it. It stays the same when the
// message is sent again, so that the stream drops what it has; a retry after
// more than the stream's duplicate window can leave a message twice.
//
// With batch: ndjson or record_batch all records of a message share a subject.
// Records of several subjects are gathered side by side, so {event_type} in the
// subject does not make messages small; a flow's records still leave in their
// order, one message ending where it would overtake another.
type NATSOptions struct {
	URLs              []string      `koanf:"urls"` // nats://, tls://, ws:// or wss://, in random order
	CredsFile         string        `koanf:"creds_file"`
	NkeyFile          string        `koanf:"nkey_file"`
	Token             option.Secret `koanf:"token"`
	TokenFile         string        `koanf:"token_file"`
	User              string        `koanf:"user"`
	Password          option.Secret `koanf:"password"`
	PasswordFile      string        `koanf:"password_file"`
	TLS               option.TLS    `koanf:"tls"`
	TLSHandshakeFirst bool          `koanf:"tls_handshake_first"` // no INFO line before TLS; the server must be set likewise
	InboxPrefix       string        `koanf:"inbox_prefix"`        // of the subjects on which JetStream answers; _INBOX when empty
	ConnectTimeout    time.Duration `koanf:"connect_timeout"`     // of one attempt at one server

	Subject         string            `koanf:"subject"`           // a template over {node} {netns} {table} {event_type} {family} {proto}
	Headers         map[string]string `koanf:"headers"`           // on every message, beside our own
	MaxMessageBytes option.Size       `koanf:"max_message_bytes"` // where a message of several records ends; the server's max_payload bounds every message
	PublishTimeout  time.Duration     `koanf:"publish_timeout"`   // of an acknowledgement, or of core NATS's flush
	MaxInFlight     int               `koanf:"max_in_flight"`     // JetStream's messages without acknowledgement; more than 1 gives up order

	JetStream NATSJetStream `koanf:"jetstream"`

	// Schema is the header ctferry-schema of messages; empty is that of records.
	// No key of the configuration sets it.
	Schema string `koanf:"-"`

	// Embedded says that the server is in this process, so that no URL is needed;
	// whoever makes the sink sets InProcess then. No key of the configuration
	// sets it.
	Embedded bool `koanf:"-"`

	// InProcess connects to a server in this process instead of the URLs
	// (natsconn.Server.InProcess). No key of the configuration sets it.
	InProcess nats.Option `koanf:"-"`
}

// NATSJetStream says which stream must take the records. Naming the stream
// turns JetStream on. The keys from storage on are for a stream that the sink
// is to create or update; what is left out is the server's default, or stays
// as it is.
type NATSJetStream struct {
	Stream          string        `koanf:"stream"`
	Manage          string        `koanf:"manage"`  // none: it must exist; create: make it if it does not; update: and change what is named here
	Storage         string        `koanf:"storage"` // file or memory
	MaxBytes        option.Size   `koanf:"max_bytes"`
	MaxAge          time.Duration `koanf:"max_age"`
	Replicas        int           `koanf:"replicas"`
	Discard         string        `koanf:"discard"`          // when full: old (messages go) or new (the sink waits)
	DuplicateWindow time.Duration `koanf:"duplicate_window"` // for how long message ids are remembered
}

// On reports whether JetStream is wanted.
func (j *NATSJetStream) On() bool { return j.Stream != "" }

// NewNATSOptions gives the defaults; urls have none.
func NewNATSOptions() Options {
	return &NATSOptions{
		ConnectTimeout:  5 * time.Second,
		Subject:         "ctferry.v1.default.evt.{node}.{table}.{event_type}",
		MaxMessageBytes: 256 * option.KiB,
		PublishTimeout:  5 * time.Second,
		MaxInFlight:     1,
		JetStream:       NATSJetStream{Manage: natsManageNone},
	}
}

// The values of the keys that are one word of a few.
const (
	natsManageNone   = "none"
	natsManageCreate = "create"
	natsManageUpdate = "update"

	natsFile   = "file"
	natsMemory = "memory"

	natsDiscardOld = "old"
	natsDiscardNew = "new"
)
