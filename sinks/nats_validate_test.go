package sinks

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/internal/option"
)

func TestNATSDefaultsNeedOnlyURLs(t *testing.T) {
	o := NewNATSOptions().(*NATSOptions)
	if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), "urls: at least one") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("%v", err)
	}
	o.URLs = []string{"nats://hub:4222"}
	if err := o.Validate(); err != nil || o.Unordered() != "" {
		t.Fatalf("%v, %q", err, o.Unordered())
	}
	o.URLs, o.InProcess = nil, nats.InProcessServer(nil)
	if err := o.Validate(); err != nil {
		t.Fatalf("in process: %v", err)
	}
}

func TestNATSValidate(t *testing.T) {
	for _, tt := range []struct {
		change func(*NATSOptions)
		want   []string // each fault's beginning, in order; none if all is well
	}{
		{func(o *NATSOptions) { o.URLs = []string{"hub:4222"} }, []string{`urls[0]: "hub:4222": expected nats://`}},
		{func(o *NATSOptions) { o.URLs = []string{"nats://ann:pw@hub"} }, []string{"urls[0]: user, password and token do not belong"}},
		{func(o *NATSOptions) { o.User = "ann" }, []string{"password: missing beside user"}},
		{func(o *NATSOptions) { o.CredsFile, o.NkeyFile = "a", "b" }, []string{"nkey_file: creds_file is set too"}},
		{func(o *NATSOptions) { o.TLS.CertFile = "c" }, []string{"tls.cert_file: cert_file and key_file go together"}},
		{func(o *NATSOptions) { o.TLS.MinVersion = "1.0" }, []string{`tls.min_version: "1.0" is not known`}},
		{func(o *NATSOptions) { o.InboxPrefix = "a.*" }, []string{"inbox_prefix: "}},
		{func(o *NATSOptions) { o.ConnectTimeout = 0 }, []string{"connect_timeout: 0s is out of range"}},
		{func(o *NATSOptions) { o.PublishTimeout = time.Hour }, []string{"publish_timeout: 1h0m0s is out of range"}},
		{func(o *NATSOptions) { o.Subject = "a.{src}" }, []string{"subject: column 3: unknown field {src}"}},
		{func(o *NATSOptions) { o.MaxMessageBytes = 100 }, []string{"max_message_bytes: 100B is out of range: expected 4KiB to 64MiB"}},
		{func(o *NATSOptions) { o.MaxInFlight = 2 }, []string{"max_in_flight: has no effect without jetstream.stream"}},
		{func(o *NATSOptions) { inStream(o); o.MaxInFlight = 2000 }, []string{"max_in_flight: 2000 is out of range"}},
		{func(o *NATSOptions) { o.Headers = map[string]string{"a": "b\nc"} }, []string{"headers.a: must be one line"}},
		{func(o *NATSOptions) { o.Headers = map[string]string{"content-Type": "x"} }, []string{`headers.content-Type: "content-Type" cannot be set`}},
		{func(o *NATSOptions) { o.Headers = map[string]string{"Nats-Rollup": "all"} }, []string{`headers.Nats-Rollup: "Nats-Rollup" cannot be set`}},
		{func(o *NATSOptions) { o.Headers = map[string]string{"a b": "x"} }, []string{`headers.a b: "a b" cannot be a header's name`}},
		{func(o *NATSOptions) { o.JetStream.Manage = "create" }, []string{"jetstream.stream: missing"}},
		{inStream, nil},
		{func(o *NATSOptions) { o.JetStream.Stream = "A.B" }, []string{`jetstream.stream: "A.B" cannot be`}},
		{func(o *NATSOptions) { inStream(o); o.JetStream.Manage = "" }, []string{`jetstream.manage: "" is not known`, "jetstream.max_bytes: missing"}},
		{func(o *NATSOptions) { inStream(o); o.JetStream.MaxBytes = 1 }, []string{"jetstream.manage: none leaves the stream as it is"}},
		{func(o *NATSOptions) { created(o); o.JetStream.MaxAge = 0 }, []string{"jetstream.max_bytes: missing"}},
		{func(o *NATSOptions) { created(o); o.JetStream.Storage = "disk" }, []string{`jetstream.storage: "disk" is not known: expected file, memory`}},
		{func(o *NATSOptions) { created(o); o.JetStream.Discard = "all" }, []string{`jetstream.discard: "all" is not known: expected old, new`}},
		{func(o *NATSOptions) { created(o); o.JetStream.Replicas = 6 }, []string{"jetstream.replicas: 6 is out of range"}},
		{func(o *NATSOptions) { created(o); o.JetStream.DuplicateWindow = time.Millisecond }, []string{"jetstream.duplicate_window: 1ms is too short"}},
		{func(o *NATSOptions) { created(o); o.JetStream.DuplicateWindow = 2 * time.Hour }, []string{"jetstream.duplicate_window: 2h0m0s is longer than max_age"}},
		{created, nil},
	} {
		o := NewNATSOptions().(*NATSOptions)
		o.URLs = []string{"nats://hub"}
		tt.change(o)
		var got option.Faults
		if err := o.Validate(); err != nil {
			got = err.(option.Faults)
		}
		if len(got) != len(tt.want) {
			t.Errorf("%v, want %v", got, tt.want)
			continue
		}
		for i, f := range got {
			if !strings.HasPrefix(f.Error(), tt.want[i]) {
				t.Errorf("%v, want %s", f, tt.want[i])
			}
		}
		if _, err := o.New(Env{Format: encode.Formats()["json"], Log: slog.New(slog.DiscardHandler)}); (err == nil) != (tt.want == nil) {
			t.Errorf("New: %v", err)
		}
	}
}

// created has the sink create its stream.
func created(o *NATSOptions) {
	o.JetStream = NATSJetStream{Stream: "CTFERRY", Manage: natsManageCreate, MaxAge: time.Hour}
}

func TestNATSUnordered(t *testing.T) {
	o := NewNATSOptions().(*NATSOptions)
	inStream(o)
	if why := o.Unordered(); why != "" {
		t.Errorf("one in flight: %s", why)
	}
	o.MaxInFlight = 8
	if why := o.Unordered(); !strings.Contains(why, "max_in_flight: 8") || !strings.Contains(why, "batch:") {
		t.Errorf("eight in flight: %q", why)
	}
}

func TestNATSSecretsStayHidden(t *testing.T) {
	o := NewNATSOptions().(*NATSOptions)
	o.User, o.Password, o.Token = "ann", option.NewSecret("opensesame"), option.NewSecret("opensesame")
	if s := fmt.Sprintf("%v %+v %#v", *o, *o, *o); strings.Contains(s, "opensesame") {
		t.Error(s)
	}
}

func TestNATSHeaderLen(t *testing.T) {
	n := newTestNATS(t, "nats://hub", inStream, nil)
	id := string(n.id.of(&Record{Seq: 1<<64 - 1}, &Record{Seq: 1<<64 - 1}))
	wire := "NATS/1.0\r\nNats-Msg-Id: " + id + "\r\nNats-Expected-Stream: CTFERRY\r\nContent-Type: application/json\r\nctferry-schema: ctferry.v1\r\n\r\n"
	if got := natsHeaderLen(n.pen.header) + n.id.maxLen(); got < len(wire) || got > len(wire)+natsValueLen {
		t.Errorf("%d, want at least %d", got, len(wire))
	}
	n.env.Node = strings.Repeat("é", 300)
	long := newNATSID(n.env)
	if got := len("Nats-Msg-Id: \r\n") + len(long.of(&Record{Seq: 1<<64 - 1}, &Record{Seq: 1<<64 - 1})); got > long.maxLen() {
		t.Errorf("%d, more than %d", got, long.maxLen())
	}
}

// A server in this process needs no URL, and no other server is named instead.
func TestNATSEmbeddedNeedsNoURL(t *testing.T) {
	o := NewNATSOptions().(*NATSOptions)
	o.Embedded = true
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
	o.Subject = ""
	if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), "subject: ") {
		t.Error(err)
	}
}
