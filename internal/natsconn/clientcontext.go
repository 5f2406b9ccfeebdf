package natsconn

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/ctferry/ctferry/internal/option"
)

// ClientContext is a context of the nats command line tool: a JSON file that
// says how to connect and as whom. The keys are those of NATS's ADR-21. All
// that is empty is left out in writing, and members that do not bear on the
// connection are not read.
type ClientContext struct {
	Description string `json:"description,omitempty"`
	URL         string `json:"url,omitempty"` // servers, parted by commas; default nats://localhost:4222
	Token       string `json:"token,omitempty"`
	User        string `json:"user,omitempty"`
	Password    string `json:"password,omitempty"`
	Creds       string `json:"creds,omitempty"` // files from here; ~ and $NAME are expanded
	NKey        string `json:"nkey,omitempty"`
	Cert        string `json:"cert,omitempty"`
	Key         string `json:"key,omitempty"`
	CA          string `json:"ca,omitempty"`
	InboxPrefix string `json:"inbox_prefix,omitempty"`
	TLSFirst    bool   `json:"tls_first,omitempty"`

	// What the tool knows and we do not: refused, for without it the connection
	// would be another.
	SocksProxy string `json:"socks_proxy,omitempty"`
	NSC        string `json:"nsc,omitempty"`
	UserJWT    string `json:"user_jwt,omitempty"`
	UserSeed   string `json:"user_seed,omitempty"`
}

// defaultURL is what the nats tool takes for a context without a URL.
const defaultURL = "nats://localhost:4222"

// ContextFile finds a context: a path of a file if name has a slash or ends in
// .json, else a name in the folder of the nats tool, which is below
// XDG_CONFIG_HOME or ~/.config. getenv gives the environment.
func ContextFile(name string, getenv func(string) string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) || strings.HasSuffix(name, ".json") {
		return name, nil
	}
	if name == "" || strings.Contains(name, "..") {
		return "", fmt.Errorf("%q is no name of a context", name)
	}
	dir, err := contextDir(getenv)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "context", name+".json"), nil
}

// SelectedContext is the name that `nats context select` has chosen; empty if
// there is none.
func SelectedContext(getenv func(string) string) string {
	dir, err := contextDir(getenv)
	if err != nil {
		return ""
	}
	text, err := readFile(filepath.Join(dir, "context.txt"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// contextDir is the folder of the nats tool.
func contextDir(getenv func(string) string) (string, error) {
	if dir := getenv("XDG_CONFIG_HOME"); dir != "" {
		return filepath.Join(dir, "nats"), nil
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".config", "nats"), nil
	}
	return "", errors.New("neither XDG_CONFIG_HOME nor HOME is set")
}

// ReadContext reads a context's file into x, a *ClientContext or a struct with
// one embedded. An error names the file.
func ReadContext(path string, x any) error {
	text, err := readFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, x); err != nil {
		return fmt.Errorf("%s: no context of the nats tool: %w", path, err)
	}
	return nil
}

// Config turns the context into a connection's configuration. getenv serves
// the expansion of paths.
func (x *ClientContext) Config(getenv func(string) string) (Config, error) {
	for _, f := range []struct{ key, value string }{
		{"socks_proxy", x.SocksProxy}, {"nsc", x.NSC}, {"user_jwt", x.UserJWT}, {"user_seed", x.UserSeed},
	} {
		if f.value != "" {
			return Config{}, &FieldError{Field: f.key, Msg: "is not supported here: expected creds, nkey, token, or user and password"}
		}
	}
	c := Config{
		Token: option.NewSecret(x.Token), User: x.User, Password: option.NewSecret(x.Password),
		InboxPrefix: x.InboxPrefix, TLSHandshakeFirst: x.TLSFirst,
	}
	for _, f := range []struct {
		key, value string
		to         *string
	}{
		{"creds", x.Creds, &c.CredsFile}, {"nkey", x.NKey, &c.NkeyFile},
		{"cert", x.Cert, &c.TLS.CertFile}, {"key", x.Key, &c.TLS.KeyFile}, {"ca", x.CA, &c.TLS.CAFile},
	} {
		path, err := expandPath(f.value, getenv)
		if err != nil {
			return Config{}, &FieldError{Field: f.key, Err: err}
		}
		*f.to = path
	}
	list := x.URL
	if list == "" {
		list = defaultURL
	}
	if err := c.SetServers(list); err != nil {
		return Config{}, &FieldError{Field: "url", Err: err}
	}
	return c, nil
}

// expandPath puts the home directory for ~ and the environment for $NAME.
func expandPath(path string, getenv func(string) string) (string, error) {
	path = strings.TrimPrefix(path, "file://")
	if scheme, _, ok := strings.Cut(path, "://"); ok {
		return "", fmt.Errorf("%s:// is not supported here: expected the path of a file", scheme)
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		path = filepath.Join(getenv("HOME"), rest)
	}
	return os.Expand(path, getenv), nil
}

// SetServers reads a list of servers as the nats tool takes it: parted by
// commas, the scheme optional, a user and a password or a token before an @.
// These become the configuration's own, in place of what it had.
func (c *Config) SetServers(list string) error {
	c.URLs = nil
	for part := range strings.SplitSeq(list, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if !strings.Contains(part, "://") {
			part = "nats://" + part
		}
		u, err := url.Parse(part)
		if err != nil {
			return errors.New("a server's address cannot be read: expected nats://host:port")
		}
		c.takeUser(u)
		c.URLs = append(c.URLs, u.String())
	}
	if len(c.URLs) == 0 {
		return errors.New("no server: expected nats://host:port")
	}
	return nil
}

// takeUser moves what stands before the @ of a URL to where it belongs.
func (c *Config) takeUser(u *url.URL) {
	if u.User == nil {
		return
	}
	name := u.User.Username()
	if password, ok := u.User.Password(); ok {
		c.ClearAuth()
		c.User, c.Password = name, option.NewSecret(password)
	} else if name != "" {
		c.ClearAuth()
		c.Token = option.NewSecret(name)
	}
	u.User = nil
}

// ClearAuth takes out who the client is, but for a certificate in TLS.
func (c *Config) ClearAuth() {
	c.CredsFile, c.NkeyFile, c.TokenFile, c.User, c.PasswordFile = "", "", "", "", ""
	c.Token, c.Password = option.Secret{}, option.Secret{}
}
