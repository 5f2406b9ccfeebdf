package configs

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ctferry/ctferry/internal/option"
)

// candidates are values that may be right, the telling ones first: the words
// that are known, then usual values of the type; the default comes last.
func candidates(k *docKey) []string {
	var all []string
	for _, name := range []string{k.path, lastStep(k.path)} {
		if e, ok := modelExamples()[name]; ok {
			all = append(all, e)
		}
	}
	for _, w := range k.words {
		if k.typ.Kind() == reflect.Slice {
			w = "[" + w + "]"
		}
		all = append(all, w)
	}
	all = append(all, usual(k)...)
	all = slices.DeleteFunc(all, func(s string) bool { return s == k.def })
	if k.def != "" {
		all = append(all, k.def)
	}
	return all
}

func lastStep(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// usual are values of a type, or of what a key's name says.
func usual(k *docKey) []string {
	switch k.typ {
	case reflect.TypeFor[time.Duration]():
		return []string{"30s", "1m", "5s", "1h", "100ms"}
	case reflect.TypeFor[option.Size]():
		return []string{"64MiB", "1GiB", "4GiB", "512KiB", "100KiB"}
	case reflect.TypeFor[filter]():
		return []string{"{proto: tcp}"}
	}
	switch k.typ.Kind() {
	case reflect.Bool:
		return []string{"true", "false"}
	case reflect.Map:
		return []string{"{site: paris}"}
	case reflect.Slice:
		return []string{"[a]", "[10.0.0.0/8]", "['nats://a:4222']"}
	}
	if k.typ.Kind() == reflect.String || isTextType(k.typ) {
		name := lastStep(k.path)
		switch {
		case strings.HasSuffix(name, "_file"):
			return []string{"/etc/ctferry/" + strings.TrimSuffix(name, "_file")}
		case strings.HasSuffix(name, "dir") || name == "path" || name == "base":
			return []string{"/var/lib/ctferry/x", "/var/log"}
		case strings.HasPrefix(name, "listen"):
			return []string{"127.0.0.1:9000"}
		}
		return []string{"paris", "1.3", "127.0.0.1:9000"}
	}
	return []string{"2", "10", "100", "5000", "100000"}
}

// modelExamples are examples of keys that no general value suits, by name.
func modelExamples() map[string]string {
	return map[string]string{
		"brokers": "['kafka-1:9092', 'kafka-2:9092']", "urls": "['nats://nats-1:4222']", "fields": "[time, orig, reply]", "omit": "[ct_labels, secctx]",
		"netns": "[blue, 'tenant-*']", "protect": "[10.0.0.0/8]", "deny_imports": "['orders.>']", "deny_exports": "['orders.>']",
		"mode": "\"0600\"", "connection": "k1", "control.connection": "hub", "control.audit.path": "/var/log/ctferry/audit.jsonl", "dead_letter.path": "/var/log/ctferry/dead-letters", "topic": "conntrack-{table}", "subject": "ct.{node}.{event_type}", "base": "/var/log",
		"path": "/var/log/ctferry/flows-%Y%m%d.jsonl", "community_id_seed": "0",
	}
}
