package configs

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/ctferry/ctferry/internal/option"
)

// NamedFile is a file and the key that names it.
type NamedFile struct{ Key, Path string }

// Certificates lists the files of certificates that the configuration names,
// those of disabled sections left out, by key.
func (c *Config) Certificates() []NamedFile {
	var all []NamedFile
	add := func(path string, v any) { all = append(all, certificatesIn(path, reflect.ValueOf(v))...) }
	for i := range c.Sinks {
		add("sinks."+c.Sinks[i].Name, c.Sinks[i].Options)
	}
	if c.Control.Enabled && c.connection != nil {
		add("connections."+c.ControlConnection, c.connection)
	}
	if c.NATSServer.Enabled {
		add(Embedded, c.natsServer)
	}
	if c.Admin.On() {
		add("admin", c.Admin)
	}
	slices.SortFunc(all, func(a, b NamedFile) int { return cmp.Compare(a.Key, b.Key) })
	return all
}

// certificatesIn gathers the values of keys that name certificates.
func certificatesIn(path string, v reflect.Value) (found []NamedFile) {
	v = reflect.Indirect(v)
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			found = append(found, certificatesIn(fmt.Sprintf("%s[%d]", path, i), v.Index(i))...)
		}
	case reflect.Struct:
		fields := map[string]reflect.Value{}
		addFields(fields, v)
		for key, f := range fields {
			at := option.Below(path, key)
			if f.Kind() == reflect.String && f.String() != "" && (strings.HasSuffix(key, "cert_file") || strings.HasSuffix(key, "ca_file")) {
				found = append(found, NamedFile{at, f.String()})
				continue
			}
			found = append(found, certificatesIn(at, f)...)
		}
	}
	return found
}
