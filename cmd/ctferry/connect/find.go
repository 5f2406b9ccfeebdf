package connect

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/ctferry/ctferry/cmd/ctferry/embedded"
	"github.com/ctferry/ctferry/control"
)

// ThisHost is the machine as it is.
func ThisHost() Host {
	return Host{Environ: os.Environ(), Config: DefaultConfig, KeysDir: embedded.DefaultDir}
}

// UsageError is a fault in what the user wrote, or left out.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *UsageError) Unwrap() error { return e.Err }

// Find finds the target. What the options say comes first, then the
// environment, by the names that the nats tool has (NATS_URL, NATS_CREDS,
// NATS_NKEY, NATS_USER, NATS_PASSWORD, NATS_TOKEN, NATS_CA, NATS_CERT, NATS_KEY,
// NATS_INBOX_PREFIX, NATS_CONTEXT). Where neither names a server or where one
// can be found, it is looked for: in h.Config, in h.KeysDir, and in the context
// that the nats tool has selected. An error is a *UsageError where something
// has to be said or changed.
func (h Host) Find(o Options) (*Target, error) {
	def := control.DefaultConfig()
	t := &Target{Subjects: control.Subjects{Prefix: def.Prefix, Site: def.Site}}
	if err := h.find(o, t); err != nil {
		return nil, &UsageError{err}
	}
	t.Subjects.Site = cmp.Or(o.Site, t.Subjects.Site)
	if control.Token(t.Subjects.Site) != t.Subjects.Site {
		return nil, &UsageError{fmt.Errorf("--site: %q cannot be a subject's token: expected A-Z, a-z, 0-9, _ and -", t.Subjects.Site)}
	}
	if err := t.Conn.Validate(); err != nil {
		return nil, &UsageError{fmt.Errorf("%s: %w", t.From, err)}
	}
	return t, nil
}

func (h Host) find(o Options, t *Target) error {
	var err error
	switch {
	case o.Context != "" && o.Config != "":
		return errors.New("--nats-context and --config cannot stand together: each says how to connect")
	case o.Context != "":
		err = h.fromContext("--nats-context", o.Context, t)
	case o.Config != "":
		err = h.fromConfig(o.Config, t)
	case o.Server == "" && h.getenv("NATS_URL") == "" && h.getenv("NATS_CONTEXT") != "":
		err = h.fromContext("NATS_CONTEXT", h.getenv("NATS_CONTEXT"), t)
	case o.Server == "" && h.getenv("NATS_URL") == "":
		err = h.lookAround(t)
	}
	if err != nil {
		return err
	}
	if o.Context == "" && o.Config == "" { // what the line names outright, the environment does not change
		if err := h.fromEnvironment(t, o.Server == ""); err != nil {
			return err
		}
	}
	return t.overlay(o)
}

func (h Host) getenv(name string) string {
	for _, kv := range h.Environ {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// overlay lays what the command line says over what was found.
func (t *Target) overlay(o Options) error {
	if o.Server != "" {
		if strings.Contains(o.Server, "@") {
			return errors.New("--server: a user, a password or a token is not taken from the command line, where every user can read it: use --creds, --nats-context or the environment")
		}
		if err := t.Conn.SetServers(o.Server); err != nil {
			return fmt.Errorf("--server: %w", err)
		}
		t.From = "--server"
	}
	if o.Creds != "" {
		t.Conn.ClearAuth()
		t.Conn.CredsFile = o.Creds
	}
	return nil
}
