package configs

import (
	"fmt"
	"math"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/option"
)

// Embedded is the name under which sinks and control connect to the server of
// the section nats_server, inside the process.
const Embedded = "nats_server"

// NATSServer is the server inside the process.
type NATSServer struct {
	Enabled     bool
	Server      natsconn.ServerConfig // without users: the keys in Credentials make them
	Credentials natsconn.Credentials
}

type rawNATSServer struct {
	Enabled        bool           `koanf:"enabled"`
	Listen         string         `koanf:"listen"`
	StoreDir       string         `koanf:"store_dir"`
	Name           string         `koanf:"name"`
	JetStream      rawJetStream   `koanf:"jetstream"`
	MaxPayload     option.Size    `koanf:"max_payload"`
	MaxConnections int            `koanf:"max_connections"`
	Credentials    rawCredentials `koanf:"credentials"`
	TLS            rawServerTLS   `koanf:"tls"`
	Leafnodes      []rawLeafnode  `koanf:"leafnodes"`
}

type rawJetStream struct {
	MaxMemory    option.Size   `koanf:"max_memory"`
	MaxStore     option.Size   `koanf:"max_store"`
	Domain       string        `koanf:"domain"`
	SyncInterval time.Duration `koanf:"sync_interval"`
	SyncAlways   bool          `koanf:"sync_always"`
}

type rawCredentials struct {
	Dir   string `koanf:"dir"`
	Group string `koanf:"group"`
}

type rawServerTLS struct {
	CertFile       string `koanf:"cert_file"`
	KeyFile        string `koanf:"key_file"`
	CAFile         string `koanf:"ca_file"`
	Verify         bool   `koanf:"verify"`
	MinVersion     string `koanf:"min_version"`
	HandshakeFirst bool   `koanf:"handshake_first"`
}

type rawLeafnode struct {
	URLs              []string      `koanf:"urls"`
	CredsFile         string        `koanf:"creds_file"`
	NkeyFile          string        `koanf:"nkey_file"`
	User              string        `koanf:"user"`
	Password          option.Secret `koanf:"password"`
	PasswordFile      string        `koanf:"password_file"`
	TLS               option.TLS    `koanf:"tls"`
	TLSHandshakeFirst bool          `koanf:"tls_handshake_first"`
	DenyImports       []string      `koanf:"deny_imports"`
	DenyExports       []string      `koanf:"deny_exports"`
}

// natsServerDefaults is a server for one machine.
func natsServerDefaults() rawNATSServer {
	return rawNATSServer{
		Listen: "127.0.0.1:4222", StoreDir: "/var/lib/ctferry/nats",
		JetStream:  rawJetStream{MaxMemory: natsconn.DefaultMaxMemory, MaxStore: natsconn.DefaultMaxStore, SyncInterval: 2 * time.Minute},
		MaxPayload: option.MiB, MaxConnections: 1024,
	}
}

func (r *rawNATSServer) config() NATSServer {
	s := NATSServer{
		Enabled: r.Enabled,
		Server: natsconn.ServerConfig{
			Name: r.Name, Listen: r.Listen, StoreDir: r.StoreDir,
			JetStream: natsconn.JetStream{
				MaxMemory: int64(r.JetStream.MaxMemory), MaxStore: int64(r.JetStream.MaxStore), Domain: r.JetStream.Domain,
				SyncInterval: r.JetStream.SyncInterval, SyncAlways: r.JetStream.SyncAlways,
			},
			MaxPayload: int32(min(r.MaxPayload, math.MaxInt32)), MaxConnections: r.MaxConnections,
			TLS: natsconn.ServerTLS(r.TLS),
		},
		Credentials: natsconn.Credentials(r.Credentials),
	}
	if s.Server.JetStream.SyncAlways {
		s.Server.JetStream.SyncInterval = 0
	}
	if s.Credentials.Dir == "" {
		s.Credentials.Dir = filepath.Join(filepath.Dir(r.StoreDir), "credentials")
	}
	for _, l := range r.Leafnodes {
		s.Server.Leafnodes = append(s.Server.Leafnodes, natsconn.Leafnode{
			URLs: l.URLs, CredsFile: l.CredsFile, NkeyFile: l.NkeyFile, User: l.User, Password: l.Password, PasswordFile: l.PasswordFile,
			TLS: l.TLS, TLSHandshakeFirst: l.TLSHandshakeFirst, DenyImports: l.DenyImports, DenyExports: l.DenyExports,
		})
	}
	return s
}

// The bounds of the keys.
const (
	natsMinPayload = 64 * option.KiB
	natsMaxPayload = 64 * option.MiB // nats-server's own
	natsMaxClients = 65536
	natsMaxName    = 64
)

// natsServer checks the section, whether the server is to run or not.
func (b *builder) natsServer(r *rawNATSServer) NATSServer {
	s := r.config()
	var fs option.Faults
	for key, path := range map[string]string{"store_dir": r.StoreDir, "credentials.dir": r.Credentials.Dir} {
		if !filepath.IsAbs(path) && (path != "" || key == "store_dir") {
			fs.Add(key, fmt.Sprintf("%s: expected an absolute path", quote(path)))
		}
	}
	if r.MaxPayload < natsMinPayload || r.MaxPayload > natsMaxPayload {
		fs.Add("max_payload", fmt.Sprintf("%s is out of range: expected %s to %s", r.MaxPayload, natsMinPayload, natsMaxPayload))
	}
	if r.MaxConnections < 1 || r.MaxConnections > natsMaxClients {
		fs.Add("max_connections", fmt.Sprintf("%d is out of range: expected 1 to %d", r.MaxConnections, natsMaxClients))
	}
	for key, size := range map[string]option.Size{"jetstream.max_memory": r.JetStream.MaxMemory, "jetstream.max_store": r.JetStream.MaxStore} {
		if size == 0 {
			fs.Add(key, "0: expected at least 1B; nats-server would take its own default")
		}
	}
	if len(r.Name) > natsMaxName {
		fs.Add("name", fmt.Sprintf("%d bytes are too long: expected at most %d", len(r.Name), natsMaxName))
	}
	fs = append(fs, newOnes(fs, natsconn.Faults(s.Server.Validate()))...)
	fs = append(fs, newOnes(fs, b.secrets(Embedded, "", r, fs))...)
	b.judge(Embedded, fs.Err())
	if r.Enabled {
		b.warnOpen(r)
	}
	return s
}

// warnOpen warns of a server that other machines reach without TLS.
func (b *builder) warnOpen(r *rawNATSServer) {
	host, _, err := net.SplitHostPort(r.Listen)
	ip := net.ParseIP(host)
	if err != nil || ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost") || r.TLS.CertFile != "" {
		return
	}
	b.warn("nats_server.listen", "other machines reach it without TLS: keys stay secret, but requests and records can be read and changed on the way; set tls.cert_file and tls.key_file")
}

// warn notes what is allowed and yet unwise, where its key was set.
func (b *builder) warn(path, text string) {
	place, _ := b.places.near(path)
	place.section = false
	b.warnings = append(b.warnings, Error{place, option.Fault{Path: path, Text: text}})
}
