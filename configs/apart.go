package configs

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
)

// output is something that only one sink can write to.
type output struct{ key, name, target string }

// apart refuses two sinks that write to one file or to standard output: their
// records would be mixed, and each would put the other's file aside.
func (b *builder) apart(cfg *Config) {
	owners := map[string]string{}
	if cfg.Control.Enabled && cfg.Control.Audit.Path != "" {
		owners[filepath.Clean(cfg.Control.Audit.Path)] = "control.audit.path"
	}
	for i := range cfg.Sinks {
		c := &cfg.Sinks[i]
		for _, o := range outputs(c, cfg.Node) {
			if owner, taken := owners[o.target]; taken {
				b.attribute("sinks."+c.Name, "", option.Fault{Path: o.key, Text: fmt.Sprintf("%s is written by %s already: expected another", o.name, owner)})
				continue
			}
			owners[o.target] = "sinks." + c.Name + "." + o.key
		}
	}
}

// outputs lists what a sink writes to on this host.
func outputs(c *sinks.Config, node string) []output {
	var all []output
	switch o := c.Options.(type) {
	case *sinks.FileOptions:
		path := strings.NewReplacer("{node}", node, "{sink}", c.Name, "%%", "%").Replace(o.Path)
		all = append(all, output{"path", quote(o.Path), path})
	case *sinks.StdoutOptions:
		all = append(all, output{"type", "standard output", ""})
	}
	if c.DeadLetter.Path != "" {
		all = append(all, output{"dead_letter.path", quote(c.DeadLetter.Path), filepath.Clean(c.DeadLetter.Path)})
	}
	return all
}
