package configs

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/ctferry/ctferry/internal/option"
)

// redacted is how a secret is printed.
const redacted = "***"

// secret is a key that holds one, with its sibling that names a file.
type secret struct {
	path, value string
	file        string // value of the sibling
	alone       bool   // there is no sibling: it is a header's value
}

// headersKey is the key of every mapping of headers.
const headersKey = "headers"

// isCredential reports whether a header of that name is likely to hold a secret.
func isCredential(name string) bool {
	name = strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))
	return slices.ContainsFunc([]string{"authorization", "token", "apikey", "cookie", "secret", "password", "passwd", "credential"},
		func(word string) bool { return strings.Contains(name, word) })
}

// A revealer is a secret's type.
type revealer interface{ Reveal() string }

// holdsSecret reports whether a key of a struct, or of one within it, is a secret.
func holdsSecret(t reflect.Type) bool {
	for _, k := range keysOf(t) {
		if k.Implements(reflect.TypeFor[revealer]()) || holdsSecret(k) {
			return true
		}
	}
	return false
}

// secretsIn lists the secrets that are set somewhere in a struct.
func secretsIn(v reflect.Value, path string) (found []secret) {
	v = reflect.Indirect(v)
	if v.Kind() == reflect.Slice {
		for i := range v.Len() {
			found = append(found, secretsIn(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
	}
	if v.Kind() != reflect.Struct {
		return found
	}
	fields := map[string]reflect.Value{}
	addFields(fields, v)
	for key, f := range fields {
		at := option.Below(path, key)
		s, ok := f.Interface().(revealer)
		headers, _ := f.Interface().(map[string]string)
		switch {
		case key == headersKey:
			found = append(found, credentials(headers, at)...)
		case !ok:
			found = append(found, secretsIn(f, at)...)
		case s.Reveal() != "":
			file := ""
			if sibling, ok := fields[key+"_file"]; ok && sibling.Kind() == reflect.String {
				file = sibling.String()
			}
			found = append(found, secret{path: at, value: s.Reveal(), file: file})
		}
	}
	return found
}

// credentials lists the headers that hold secrets.
func credentials(headers map[string]string, path string) (found []secret) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if isCredential(name) && headers[name] != "" {
			found = append(found, secret{path: option.Below(path, name), value: headers[name], alone: true})
		}
	}
	return found
}

// instead says where a secret is better written than in its key.
func (s *secret) instead(key string) string {
	if s.alone {
		return "the configuration's file"
	}
	return key + "_file"
}

// secrets says what is wrong, and warns of what is unwise, about the secrets
// of a sink or a connection at path. What is known to be wrong is not told twice.
func (b *builder) secrets(path, conn string, options any, known option.Faults) (fs option.Faults) {
	for _, s := range secretsIn(reflect.ValueOf(options), "") {
		file := s.path + "_file"
		key := option.Below(path, s.path)
		place, exact := b.places.near(key)
		if exact != key && conn != "" {
			key = option.Below("connections."+conn, s.path)
			place, _ = b.places.near(key)
		}
		switch {
		case place.origin == onCommandLine:
			fs.Add(s.path, "a secret is not taken from the command line, where every user can read it: use "+s.instead(s.path))
		case s.value == redacted:
			text := redacted + " stands for a secret that was not printed: give the secret itself"
			if !s.alone {
				text += " or " + file
			}
			fs.Add(s.path, text)
		case s.file != "" && slices.ContainsFunc(known, func(f option.Fault) bool { return f.Path == s.path }):
		case s.file != "":
			fs.Add(file, s.path+" is set too: expected only one of them")
		default:
			b.warnSecret(place, key, &s)
		}
	}
	return fs
}

func (b *builder) warnSecret(place Place, key string, s *secret) {
	place.section = false
	switch {
	case place.origin == inEnvironment:
		b.warnings = append(b.warnings, Error{place, option.Fault{Path: key, Text: "a secret in the environment is inherited by child processes and shown in /proc: better use " + s.instead(key)}})
	case b.open[place.Source]:
		remedy := "chmod o-r"
		if !s.alone {
			remedy = "use " + key + "_file, or " + remedy
		}
		b.warnings = append(b.warnings, Error{place, option.Fault{Path: key, Text: "a secret in a file that everybody on this host may read: " + remedy}})
	}
}
