package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/ctferry/ctferry/internal/admin"
)

// The bounds of one question to the admin port.
const (
	patience  = 5 * time.Second
	maxAnswer = 8 << 20 // bytes
)

// Local reads an admin port.
type Local struct {
	client         *http.Client
	url            string // of the statistics
	shown          string // the address, for messages
	user, password string
}

// Address is who is asked, for people.
func (l *Local) Address() string { return l.shown }

// Read asks for /stats.json.
func (l *Local) Read(ctx context.Context) (*Reading, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, nil)
	if err != nil {
		return nil, fmt.Errorf("admin port: %w", err)
	}
	if l.user != "" {
		req.SetBasicAuth(l.user, l.password)
	}
	res, err := l.client.Do(req)
	if err != nil {
		return nil, l.unreached(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, l.unreached(err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, l.refused(res.StatusCode, body)
	}
	var snap admin.Snapshot
	if err := json.Unmarshal(body, &snap); err != nil || snap.Schema != admin.Schema {
		return nil, &UsageError{fmt.Errorf("%s: no answer of ctferry's admin port: expected JSON of schema %s", l.shown, admin.Schema)}
	}
	return newReading(&snap, false), nil
}

// unreached names the address; what went wrong says the rest.
func (l *Local) unreached(err error) error {
	var op *net.OpError
	if errors.As(err, &op) { // net/http repeats the URL, and a socket's has none
		err = op.Err
	}
	return fmt.Errorf("admin port %s: %w", l.shown, err)
}

func (l *Local) refused(status int, body []byte) error {
	err := fmt.Errorf("admin port %s: status %d: %s", l.shown, status, clean(strings.TrimSpace(string(body))))
	if status == http.StatusUnauthorized {
		return &UsageError{fmt.Errorf("%w; set %s, and with --admin a name as in http://NAME@HOST:PORT", err, PasswordVariable)}
	}
	if status >= 500 { // it starts or stops
		return err
	}
	return &UsageError{err}
}

// Close closes idle connections.
func (l *Local) Close() { l.client.CloseIdleConnections() }
