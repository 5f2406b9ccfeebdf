package natsconn

import (
	"errors"
	"io"
	"net"
	"strings"

	"github.com/nats-io/nats.go"
)

// IsAuth reports whether err means that the server was reached and refuses who
// we are or what we may do: wrong, missing, expired or revoked credentials, a
// client certificate it will not have, or a subject without permission. Trying
// again soon is of no use; an operator has to act.
func IsAuth(err error) bool {
	for _, target := range []error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
		nats.ErrPermissionViolation, nats.ErrNkeysNotSupported,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return isCertificateAlert(err)
}

// IsConfig reports whether err is of the configuration class: IsAuth, a setting
// or a file at fault, or TLS on which the two sides do not agree. Every other
// error is of the retry class: the network, or a server that is away or full.
func IsConfig(err error) bool {
	var field *FieldError
	switch {
	case IsAuth(err), errors.As(err, &field):
		return true
	case errors.Is(err, nats.ErrSecureConnWanted), errors.Is(err, nats.ErrSecureConnRequired):
		return true
	}
	return errors.Is(err, nats.ErrTLS) && !isNetwork(err)
}

// isNetwork reports whether a TLS handshake failed for what happened below it.
func isNetwork(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" { // an alert, which crypto/tls dresses as a net.OpError
		return false
	}
	var timeout net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &timeout)
}

// isCertificateAlert reports whether the server refused our certificate, or the
// want of one. crypto/tls wraps a peer's alert in an unexported type, so its
// text (RFC 8446, section 6.2) is all there is to go by. With TLS 1.3 the alert
// follows a handshake that the client takes for complete, and a write may fail
// before it is read; then the server's hanging up at that moment has to do,
// which nats.go puts into words.
func isCertificateAlert(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, nats.ErrTLS) && strings.Contains(err.Error(), "closed by remote after TLS handshake") {
		return true
	}
	_, alert, found := strings.Cut(err.Error(), "remote error: tls: ")
	if !found {
		return false
	}
	for _, words := range []string{
		"bad certificate", "unsupported certificate", "revoked certificate", "expired certificate",
		"unknown certificate", "certificate required", "access denied",
	} {
		if strings.HasPrefix(alert, words) {
			return true
		}
	}
	return false
}
