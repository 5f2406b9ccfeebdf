package connect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/nats-io/nats.go"

	"github.com/ctferry/ctferry/internal/natsconn"
)

// Dial connects. The connection is the caller's, who closes it. An error says
// where the address came from, and is a *UsageError where only a change of it
// can help.
func (t *Target) Dial(ctx context.Context) (*nats.Conn, error) {
	conf := t.Conn
	conf.Name = "ctferry command line of " + User()
	nc, err := natsconn.Dial(ctx, conf, natsconn.Callbacks{}, nil)
	var field *natsconn.FieldError
	switch {
	case err == nil:
		return nc, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: %w: these are another user's credentials; say --creds or --nats-context", t.From, err)
	case natsconn.IsAuth(err):
		return nil, fmt.Errorf("%s: the server refuses these credentials: %w", t.From, err)
	case errors.As(err, &field):
		return nil, &UsageError{fmt.Errorf("%s: %w", t.From, err)}
	}
	return nil, fmt.Errorf("%s: %w", t.From, err)
}
