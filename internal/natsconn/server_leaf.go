package natsconn

import (
	"fmt"
	"net/url"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/nats-io/nats-server/v2/server"
)

// Leafnode is a hub that the embedded server joins as a leaf: what one account
// publishes here is seen there, and the reverse. It connects in the background,
// and again for ever.
type Leafnode struct {
	// URLs of the hub's leaf node port (7422 by default), nats:// or tls://.
	URLs []string
	// CredsFile holds a user JWT and its seed. At most one of it, NkeyFile and User.
	CredsFile string
	// NkeyFile holds a user nkey seed.
	NkeyFile string
	// User goes with Password or PasswordFile; the file is read at Start.
	User string
	// Password is the user's password.
	Password option.Secret
	// PasswordFile is the alternative to Password.
	PasswordFile string
	// Account here that is joined; empty is the global one.
	Account string
	// TLS is used when any of its fields is set or a URL is tls://.
	TLS option.TLS
	// TLSHandshakeFirst begins with TLS; the hub must be set likewise.
	TLSHandshakeFirst bool
	// DenyImports are subjects not taken from the hub.
	DenyImports []string
	// DenyExports are subjects not given to the hub.
	DenyExports []string
}

// client is the part that a leaf shares with any other client.
func (l Leafnode) client() Config {
	return Config{
		URLs: l.URLs, CredsFile: l.CredsFile, NkeyFile: l.NkeyFile,
		User: l.User, Password: l.Password, PasswordFile: l.PasswordFile,
		TLS: l.TLS, TLSHandshakeFirst: l.TLSHandshakeFirst,
	}
}

func (l Leafnode) problems() problems {
	return l.client().problems(false)
}

// remote reads the files and returns nats-server's form of it.
func (l Leafnode) remote() (*server.RemoteLeafOpts, error) {
	remote := &server.RemoteLeafOpts{
		LocalAccount: l.Account,
		DenyImports:  l.DenyImports, DenyExports: l.DenyExports,
		TLS: l.TLS.On() || l.TLSHandshakeFirst, TLSHandshakeFirst: l.TLSHandshakeFirst,
	}
	password, err := l.password()
	if err != nil {
		return nil, err
	}
	for i, raw := range l.URLs {
		u, err := url.Parse(raw)
		if err != nil {
			return nil, &FieldError{Field: fmt.Sprintf("urls[%d]", i), Err: err}
		}
		if u.Port() == "" {
			u.Host = fmt.Sprintf("%s:%d", u.Host, server.DEFAULT_LEAFNODE_PORT)
		}
		if l.User != "" {
			u.User = url.UserPassword(l.User, password.Reveal())
		}
		remote.TLS = remote.TLS || u.Scheme == "tls"
		remote.URLs = append(remote.URLs, u)
	}
	if err := l.applyKey(remote); err != nil {
		return nil, err
	}
	if remote.TLS {
		remote.TLSConfig, err = staticTLS(l.TLS)
	}
	return remote, err
}

// applyKey sets credentials or an nkey. nats-server would take a credentials
// file without content for none and go on, so it is read here. It wants the
// nkey's seed itself, once.
func (l Leafnode) applyKey(remote *server.RemoteLeafOpts) error {
	if l.CredsFile != "" {
		remote.SignatureCB = func(nonce []byte) (jwt string, sig []byte, err error) {
			if jwt, err = readJWT(l.CredsFile); err != nil {
				return "", nil, err
			}
			sig, err = sign("creds_file", l.CredsFile, nonce)
			return jwt, sig, err
		}
		return checkCreds(l.CredsFile)
	}
	if l.NkeyFile == "" {
		return nil
	}
	pair, err := readSeed("nkey_file", l.NkeyFile)
	if err != nil {
		return err
	}
	seed, err := pair.Seed()
	remote.Nkey = string(seed)
	return err
}

// password returns the user's password, from its file if need be.
func (l Leafnode) password() (option.Secret, error) {
	if l.PasswordFile == "" {
		return l.Password, nil
	}
	secret, err := readSecret(l.PasswordFile)
	if err != nil {
		return option.Secret{}, &FieldError{Field: "password_file", Err: err}
	}
	return secret, nil
}
