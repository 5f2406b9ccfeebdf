package connect

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/ctferry/ctferry/cmd/ctferry/embedded"
	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/option"
)

// fromEnvironment lays the environment over what was found.
func (h Host) fromEnvironment(t *Target, servers bool) error {
	if list := h.getenv("NATS_URL"); list != "" && servers {
		if err := t.Conn.SetServers(list); err != nil {
			return fmt.Errorf("NATS_URL: %w", err)
		}
		t.From = "NATS_URL"
	}
	if h.getenv("NATS_CREDS")+h.getenv("NATS_NKEY")+h.getenv("NATS_TOKEN")+h.getenv("NATS_USER") != "" {
		t.Conn.ClearAuth()
		t.Conn.CredsFile, t.Conn.NkeyFile, t.Conn.Token = h.getenv("NATS_CREDS"), h.getenv("NATS_NKEY"), option.NewSecret(h.getenv("NATS_TOKEN"))
		t.Conn.User, t.Conn.Password = h.getenv("NATS_USER"), option.NewSecret(h.getenv("NATS_PASSWORD"))
	}
	for name, to := range map[string]*string{
		"NATS_CA": &t.Conn.TLS.CAFile, "NATS_CERT": &t.Conn.TLS.CertFile, "NATS_KEY": &t.Conn.TLS.KeyFile, "NATS_INBOX_PREFIX": &t.Conn.InboxPrefix,
	} {
		*to = cmp.Or(h.getenv(name), *to)
	}
	return nil
}

// fromContext reads a context of the nats tool; who named it stands in errors.
func (h Host) fromContext(who, name string, t *Target) error {
	path, err := natsconn.ContextFile(name, h.getenv)
	if err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	var x embedded.Context
	if err = natsconn.ReadContext(path, &x); err == nil {
		t.Conn, err = x.Config(h.getenv)
	}
	if err != nil {
		return fmt.Errorf("%s: context %s: %w", who, name, err)
	}
	t.From = path
	t.Subjects.Prefix, t.Subjects.Site = cmp.Or(x.Prefix, t.Subjects.Prefix), cmp.Or(x.Site, t.Subjects.Site)
	return nil
}

// fromConfig uses the section control of a configuration file.
func (h Host) fromConfig(path string, t *Target) error {
	cfg, err := configs.Load(configs.Input{File: path, Env: h.Environ, Client: true})
	if err != nil {
		return err
	}
	t.Subjects = control.Subjects{Prefix: cfg.Control.Prefix, Site: cfg.Control.Site}
	t.From = path
	switch cfg.ControlConnection {
	case "":
		return fmt.Errorf("%s: %w", path, errNoConnection)
	case configs.Embedded:
		return h.fromKeys(cfg.NATSServer.Credentials.Dir, t)
	}
	t.Conn = cfg.Control.Connection
	return nil
}

var errNoConnection = errors.New("control.connection: missing: expected the name of one of connections that is of type nats")

// fromKeys uses what a server inside ctferry run has left for clients.
func (h Host) fromKeys(dir string, t *Target) error {
	path, err := embedded.Find(dir)
	if errors.Is(err, embedded.ErrNone) {
		return fmt.Errorf("%w: is ctferry run running, with nats_server.enabled: true?", err)
	}
	if err != nil {
		return err
	}
	return h.fromContext("nats_server", path, t)
}

// lookAround looks where nothing was said. What cannot be read is passed over,
// but told if nothing else is found.
func (h Host) lookAround(t *Target) error {
	var closed []string
	for _, look := range []func(*Target) error{
		func(t *Target) error { return h.fromConfig(h.Config, t) },
		func(t *Target) error { return h.fromKeys(h.KeysDir, t) },
		h.fromSelected,
	} {
		found := *t
		err := look(&found)
		switch {
		case err == nil:
			*t = found
			return nil
		case errors.Is(err, fs.ErrPermission):
			closed = append(closed, err.Error())
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNoConnection), errors.Is(err, embedded.ErrNone):
		default:
			return err
		}
	}
	say := "say --server, --nats-context or --config, or set NATS_URL"
	if len(closed) > 0 {
		return fmt.Errorf("no NATS server known: %s; or %s", strings.Join(slices.Compact(closed), "; "), say)
	}
	return fmt.Errorf("no NATS server known: neither %s nor a server inside ctferry run nor a selected context of the nats tool says one: %s", h.Config, say)
}

func (h Host) fromSelected(t *Target) error {
	name := natsconn.SelectedContext(h.getenv)
	if name == "" {
		return fs.ErrNotExist
	}
	return h.fromContext("nats context select", name, t)
}
