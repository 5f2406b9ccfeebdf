package configs

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ctferry/ctferry/internal/admin"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
)

// output is something that only one sink can write to.
type output struct {
	key, name string
	target    string // as file sinks have paths: a % that stands for itself is doubled
	place     string // target by its real directories
}

// apart refuses two sinks that write to one file or to standard output: their
// records would be mixed, and each would put the other's file aside. Paths that come
// to be one later, by a link or by the time, are refused when they are opened.
func (b *builder) apart(cfg *Config) {
	owners := map[string]string{}
	if cfg.Control.Enabled && cfg.Control.Audit.Path != "" {
		path := cfg.Control.Audit.Path
		if linked, err := filepath.EvalSymlinks(path); err == nil { // the audit goes where a link leads
			path = linked
		}
		owners[fixedOutput("", path).place] = "control.audit.path"
	}
	for i := range cfg.Sinks {
		c := &cfg.Sinks[i]
		for _, o := range outputs(c, cfg.Node) {
			if owner, taken := owners[o.place]; taken {
				b.attribute("sinks."+c.Name, "", option.Fault{Path: o.key, Text: fmt.Sprintf("%s is written by %s already: expected another", o, owner)})
				continue
			}
			owners[o.place] = "sinks." + c.Name + "." + o.key
		}
	}
}

// String names the output, and what it is when that is not to be seen.
func (o output) String() string {
	if o.place == o.target {
		return o.name
	}
	return o.name + ", which is " + quote(o.place) + ","
}

// outputs lists what a sink writes to on this host.
func outputs(c *sinks.Config, node string) []output {
	var all []output
	switch o := c.Options.(type) {
	case *sinks.FileOptions:
		if target := o.Target(node, c.Name); target != "" {
			all = append(all, output{"path", quote(o.Path), target, realPath(target)})
		}
	case *sinks.StdoutOptions:
		all = append(all, output{key: "type", name: "standard output"})
	}
	if c.DeadLetter.Path != "" {
		all = append(all, fixedOutput("dead_letter.path", c.DeadLetter.Path))
	}
	return all
}

// fixedOutput is a file whose path has nothing that changes.
func fixedOutput(key, path string) output {
	target := strings.ReplaceAll(filepath.Clean(path), "%", "%%")
	return output{key, quote(path), target, realPath(target)}
}

// realPath puts the real directory in the place of what leads to it, as far as there is
// one now, and up to the first that has a % in its name.
func realPath(target string) string {
	dir, rest := filepath.Split(target)
	for dir != "/" && filepath.IsAbs(dir) {
		dir = filepath.Clean(dir)
		if !strings.Contains(dir, "%") {
			if at, err := filepath.EvalSymlinks(dir); err == nil {
				return filepath.Join(at, rest)
			}
		}
		rest = filepath.Join(filepath.Base(dir), rest)
		dir = filepath.Dir(dir)
	}
	return target
}

// ports refuses an admin port on the address of the server inside the process.
func (b *builder) ports(cfg *Config) {
	if n := &cfg.NATSServer; n.Enabled && cfg.Admin.On() && admin.Overlap(cfg.Admin.Listen, n.Server.Listen) {
		b.judge("admin", option.Faults{{Path: "listen", Text: fmt.Sprintf("%s is nats_server.listen (%s) already: expected another port", quote(cfg.Admin.Listen), n.Server.Listen)}})
	}
}
