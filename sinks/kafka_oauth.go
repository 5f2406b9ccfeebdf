package sinks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"

	"github.com/ctferry/ctferry/internal/option"
)

// kafkaOAuth is SASL OAUTHBEARER (RFC 7628, KIP-255) with a token that
// somebody else keeps fresh in a file. The file is read for each connection.
type kafkaOAuth struct{ file string }

// Name implements sasl.Mechanism.
func (kafkaOAuth) Name() string { return "OAUTHBEARER" }

// Start implements sasl.Mechanism.
func (o kafkaOAuth) Start(context.Context) (sasl.StateMachine, []byte, error) {
	token, err := o.token()
	if err != nil {
		return nil, nil, &kafkaTokenError{err}
	}
	return kafkaOAuthSession{}, []byte("n,,\x01auth=Bearer " + token + "\x01\x01"), nil
}

// token reads the file. What cannot be a bearer token (RFC 6750, section 2.1) is
// not sent: it could be read as another part of the message.
func (o kafkaOAuth) token() (string, error) {
	secret, err := option.SecretFrom(option.Secret{}, o.file)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(secret.Reveal())
	if body := strings.TrimRight(token, "="); body == "" || strings.ContainsFunc(body, notOfToken) {
		return "", fmt.Errorf("%s: no bearer token: expected letters, digits and -._~+/ only", o.file)
	}
	return token, nil
}

func notOfToken(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/", r)
}

// kafkaOAuthSession is one exchange: the broker answers nothing if it accepts
// the token, or says why not.
type kafkaOAuthSession struct{}

// Next implements sasl.StateMachine.
func (kafkaOAuthSession) Next(_ context.Context, challenge []byte) (bool, []byte, error) {
	if len(challenge) == 0 {
		return true, nil, nil
	}
	const most = 200 // of the broker's words, in JSON
	return false, nil, fmt.Errorf("the broker says %q: %w", challenge[:min(len(challenge), most)], kafka.SASLAuthenticationFailed)
}

// kafkaTokenError is a token that cannot be used; the broker has not seen it.
type kafkaTokenError struct{ err error }

func (e *kafkaTokenError) Error() string { return "sasl.token_file: " + e.err.Error() }

// Unwrap gives the cause.
func (e *kafkaTokenError) Unwrap() error { return e.err }

func kafkaBadToken(err error) bool {
	var bad *kafkaTokenError
	return errors.As(err, &bad)
}
