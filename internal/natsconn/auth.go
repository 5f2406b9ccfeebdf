package natsconn

import (
	"sync"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// applyAuth sets the one kind of authentication that the configuration names.
// Everything is read once now, so that a wrong file fails Dial by its setting's
// name; nats.go calls back for it at every connect.
func (c Config) applyAuth(o *nats.Options, report func(error)) error {
	switch {
	case c.CredsFile != "":
		return c.applyCreds(o)
	case c.NkeyFile != "":
		return c.applyNkey(o)
	case !c.Token.IsZero() || c.TokenFile != "":
		return applySecret("token_file", c.Token, c.TokenFile, report, func(get func() string) {
			o.TokenHandler = get
		})
	case c.User != "":
		return applySecret("password_file", c.Password, c.PasswordFile, report, func(get func() string) {
			o.UserInfo = func() (user, password string) { return c.User, get() }
		})
	}
	return nil
}

// applyCreds presents the user JWT of CredsFile and signs with the seed in it.
func (c Config) applyCreds(o *nats.Options) error {
	if err := checkCreds(c.CredsFile); err != nil {
		return err
	}
	o.UserJWT = func() (string, error) { return readJWT(c.CredsFile) }
	o.SignatureCB = func(nonce []byte) ([]byte, error) { return sign("creds_file", c.CredsFile, nonce) }
	return nil
}

// checkCreds reads a credentials file to see that all is in it.
func checkCreds(path string) error {
	if _, err := readJWT(path); err != nil {
		return err
	}
	_, err := publicKey("creds_file", path)
	return err
}

// readJWT reads the user JWT of a credentials file.
func readJWT(path string) (string, error) {
	data, err := readFile(path)
	if err != nil {
		return "", &FieldError{Field: "creds_file", Err: err}
	}
	defer clear(data)
	token, err := nkeys.ParseDecoratedJWT(data)
	if err != nil || token == "" {
		return "", &FieldError{Field: "creds_file", Msg: path + ": no user JWT in it", Err: err}
	}
	return token, nil
}

// applyNkey presents the public key of the seed in NkeyFile and signs with it.
func (c Config) applyNkey(o *nats.Options) error {
	public, err := publicKey("nkey_file", c.NkeyFile)
	if err != nil {
		return err
	}
	o.Nkey = public
	o.SignatureCB = func(nonce []byte) ([]byte, error) { return sign("nkey_file", c.NkeyFile, nonce) }
	return nil
}

// readSeed reads a user's key pair; the caller wipes it.
func readSeed(field, path string) (nkeys.KeyPair, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, &FieldError{Field: field, Err: err}
	}
	defer clear(data)
	pair, err := nkeys.ParseDecoratedUserNKey(data)
	if err != nil {
		return nil, &FieldError{Field: field, Msg: path + ": no user nkey seed (SU...) in it", Err: err}
	}
	return pair, nil
}

func publicKey(field, path string) (string, error) {
	pair, err := readSeed(field, path)
	if err != nil {
		return "", err
	}
	defer pair.Wipe()
	return pair.PublicKey()
}

func sign(field, path string, nonce []byte) ([]byte, error) {
	pair, err := readSeed(field, path)
	if err != nil {
		return nil, err
	}
	defer pair.Wipe()
	return pair.Sign(nonce)
}

// applySecret hands set a function that returns a secret given either in place
// or as a file. If the file cannot be read at a reconnect, that is reported and
// the value last read is used: it may well still be right.
func applySecret(field string, inline option.Secret, path string, report func(error), set func(get func() string)) error {
	if path == "" {
		set(inline.Reveal)
		return nil
	}
	last, err := readSecret(path)
	if err != nil {
		return &FieldError{Field: field, Err: err}
	}
	var mu sync.Mutex
	set(func() string {
		mu.Lock()
		defer mu.Unlock()
		if fresh, err := readSecret(path); err != nil {
			report(&FieldError{Field: field, Err: err})
		} else {
			last = fresh
		}
		return last.Reveal()
	})
	return nil
}
