// Package option holds the few value types that configuration keys of several
// rooms share: sizes, secrets, TLS files, and the error that names a field. It
// imports the standard library only and must never know a key's name.
package option
