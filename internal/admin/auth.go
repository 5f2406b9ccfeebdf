package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/bcrypt"

	"github.com/ctferry/ctferry/internal/option"
)

// maxCost bounds what a wrong password may cost: some two seconds of a core.
const maxCost = 15

func isHash(secret string) bool {
	return strings.HasPrefix(secret, "$2a$") || strings.HasPrefix(secret, "$2b$") || strings.HasPrefix(secret, "$2y$")
}

// checkHash says what is wrong with a bcrypt hash.
func checkHash(hash string) error {
	cost, err := bcrypt.Cost([]byte(hash))
	switch {
	case err != nil || len(hash) != 60:
		return fmt.Errorf("begins as a bcrypt hash does and is none: expected 60 signs, as htpasswd -nB prints them")
	case cost > maxCost:
		return fmt.Errorf("a bcrypt hash of cost %d: expected at most %d, for every wrong password costs as much", cost, maxCost)
	}
	return nil
}

// credentials are the one name and password that are let in.
type credentials struct {
	user  [sha256.Size]byte
	plain [sha256.Size]byte // of the password; unless there is a hash
	hash  []byte

	// bcrypt is slow on purpose and the page asks each second: what was right
	// once is remembered, and only one comparison runs at a time.
	right atomic.Pointer[[sha256.Size]byte]
	gate  chan struct{}
}

// Check says why Listen would refuse the secret, which it reads.
func (c *BasicAuth) Check() error {
	_, err := newCredentials(c)
	return err
}

// newCredentials reads the secret; nil if nobody is asked for one.
func newCredentials(c *BasicAuth) (*credentials, error) {
	if c.User == "" {
		return nil, nil
	}
	secret, err := option.SecretFrom(c.Password, c.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("admin.basic_auth.password_file: %w", err)
	}
	k := &credentials{user: sha256.Sum256([]byte(c.User)), gate: make(chan struct{}, 1)}
	if text := secret.Reveal(); isHash(text) {
		if err := checkHash(text); err != nil {
			return nil, fmt.Errorf("admin.basic_auth.password_file: %w", err)
		}
		k.hash = []byte(text)
	} else {
		k.plain = sha256.Sum256([]byte(text))
	}
	return k, nil
}

// admits tells whether that is the name and the password. It takes as long
// whichever of them is wrong.
func (k *credentials) admits(user, password string) bool {
	name, secret := sha256.Sum256([]byte(user)), sha256.Sum256([]byte(password))
	known := subtle.ConstantTimeCompare(name[:], k.user[:]) == 1
	if k.hash == nil {
		return subtle.ConstantTimeCompare(secret[:], k.plain[:]) == 1 && known
	}
	if seen := k.right.Load(); seen != nil && subtle.ConstantTimeCompare(secret[:], seen[:]) == 1 {
		return known
	}
	k.gate <- struct{}{}
	defer func() { <-k.gate }()
	if bcrypt.CompareHashAndPassword(k.hash, []byte(password)) != nil {
		return false
	}
	k.right.Store(&secret)
	return known
}
