package admin

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ctferry/ctferry/internal/option"
)

// Config is the section admin. Without Listen there is no admin port.
type Config struct {
	Listen         string    `koanf:"listen"` // host:port, or unix: and a path
	Mode           string    `koanf:"mode"`   // of the unix socket, octal
	TLS            TLS       `koanf:"tls"`
	BasicAuth      BasicAuth `koanf:"basic_auth"`
	MaxConnections int       `koanf:"max_connections"`
	PProf          bool      `koanf:"pprof"`
}

// TLS is the server's side of TLS; files are PEM. The certificate and its key
// are read again at every handshake, the authorities only at start and reload.
type TLS struct {
	CertFile   string `koanf:"cert_file"` // turns TLS on
	KeyFile    string `koanf:"key_file"`
	CAFile     string `koanf:"ca_file"` // authorities of clients, who then need a certificate
	MinVersion string `koanf:"min_version"`
}

// BasicAuth is who may ask. A password that begins as bcrypt's hashes do is one.
type BasicAuth struct {
	User         string        `koanf:"user"`
	Password     option.Secret `koanf:"password"`
	PasswordFile string        `koanf:"password_file"`
}

// The bounds of keys.
const (
	maxConnections = 4096
	maxSocketPath  = 107 - len(freshSuffix) // bytes of sun_path, and its end
	maxUser        = 255
)

// DefaultConfig is no admin port, and what holds once there is one.
func DefaultConfig() Config { return Config{Mode: "0660", MaxConnections: 64} }

// On reports whether there is an admin port.
func (c *Config) On() bool { return c.Listen != "" }

// Unix gives the path of the unix socket, "" for TCP.
func (c *Config) Unix() string {
	path, ok := strings.CutPrefix(c.Listen, "unix:")
	if !ok {
		return ""
	}
	return path
}

// Loopback reports whether only this host can reach the port.
func (c *Config) Loopback() bool {
	if strings.HasPrefix(c.Listen, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(c.Listen)
	ip, bad := netip.ParseAddr(host)
	return err == nil && (strings.EqualFold(host, "localhost") || bad == nil && ip.Unmap().IsLoopback())
}

// Guarded reports whether whoever asks is asked for a name or a certificate, and
// nobody on the way can read the answer.
func (c *Config) Guarded() bool {
	return c.TLS.CertFile != "" && (c.TLS.CAFile != "" || c.BasicAuth.User != "")
}

// Validate checks every key, whether or not there is a port.
func (c *Config) Validate() error {
	var fs option.Faults
	c.checkListen(&fs)
	if n, err := strconv.ParseUint(c.Mode, 8, 32); err != nil || n > 0o777 {
		fs.Add("mode", fmt.Sprintf("%q is no mode: expected octal digits up to 0777, such as 0660", c.Mode))
	}
	if c.MaxConnections < 1 || c.MaxConnections > maxConnections {
		fs.Add("max_connections", fmt.Sprintf("%d is out of range: expected 1 to %d", c.MaxConnections, maxConnections))
	}
	fs.Join("tls", c.TLS.validate())
	if c.Unix() != "" && c.TLS != (TLS{}) {
		fs.Add("tls", "has no effect on a unix socket: mode says who may connect")
	}
	fs.Join("basic_auth", c.BasicAuth.validate())
	return fs.Err()
}

func (c *Config) checkListen(fs *option.Faults) {
	const want = "expected host:port, such as 127.0.0.1:9479, or unix: and an absolute path"
	if c.Listen == "" {
		return
	}
	if path, ok := strings.CutPrefix(c.Listen, "unix:"); ok {
		switch {
		case !filepath.IsAbs(path) || strings.HasSuffix(path, "/"):
			fs.Add("listen", fmt.Sprintf("%q: %s", c.Listen, want))
		case len(path) > maxSocketPath:
			fs.Add("listen", fmt.Sprintf("%q: a socket's path has at most %d bytes here", c.Listen, maxSocketPath))
		}
		return
	}
	_, port, err := net.SplitHostPort(c.Listen)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || strings.ContainsAny(c.Listen, " \t") {
		fs.Add("listen", fmt.Sprintf("%q: %s", c.Listen, want))
	}
}

func (t *TLS) validate() error {
	var fs option.Faults
	fs.Join("", option.TLS{CertFile: t.CertFile, KeyFile: t.KeyFile, MinVersion: t.MinVersion}.Validate())
	if t.CertFile == "" && t.KeyFile == "" && *t != (TLS{}) {
		fs.Add("cert_file", "missing: TLS needs the server's certificate")
	}
	return fs.Err()
}

func (a *BasicAuth) validate() error {
	var fs option.Faults
	secret := !a.Password.IsZero() || a.PasswordFile != ""
	switch {
	case a.User == "" && secret:
		fs.Add("user", "missing beside a password")
	case a.User != "" && !secret:
		fs.Add("password_file", "missing beside user: expected a file that holds a password or its bcrypt hash")
	case strings.ContainsAny(a.User, ":\r\n\x00") || len(a.User) > maxUser:
		// Behind a colon is likely the password: what stands there is not repeated.
		fs.Add("user", fmt.Sprintf("is no name: expected at most %d bytes without a colon", maxUser))
	}
	if hash := a.Password.Reveal(); isHash(hash) {
		if err := checkHash(hash); err != nil {
			fs.Add("password", err.Error())
		}
	}
	return fs.Err()
}
