package top

import (
	"context"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/ctferry/ctferry/internal/admin"
)

// Reading is how a service was at one moment. Its texts hold nothing that a
// terminal would take for more than text.
type Reading struct {
	admin.Snapshot
	Remote bool // comes from status records, which tell less: nothing of kinds, of the spool and of when a sink succeeded
}

// Source tells how a service is.
type Source interface {
	// Read asks once. An error that is a *UsageError will not go away by itself.
	Read(ctx context.Context) (*Reading, error)
	// Close lets go of the connection.
	Close()
}

// UsageError is a fault in what the user wrote, or left out.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *UsageError) Unwrap() error { return e.Err }

// newReading cleans every text of a snapshot.
func newReading(s *admin.Snapshot, remote bool) *Reading {
	cleanAll(reflect.ValueOf(s).Elem())
	return &Reading{*s, remote}
}

// maxText bounds, in runes, every text that is shown.
const maxText = 400

// clean replaces what is no visible sign by one that is: escape codes, control
// characters, marks that turn the direction of writing, bytes that are no UTF-8.
func clean(s string) string {
	n := 0
	return strings.Map(func(r rune) rune {
		n++
		switch {
		case n > maxText || unicode.In(r, unicode.Mn, unicode.Me): // marks heap up on one place
			return -1
		case r == '\t', r == '\n':
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// cleanAll cleans every text that v holds, wherever that is: a field which a
// later version tells cannot be forgotten.
func cleanAll(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(clean(v.String()))
	case reflect.Pointer:
		if !v.IsNil() {
			cleanAll(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			cleanAll(v.Index(i))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			cleanAll(v.Field(i))
		}
	}
}
