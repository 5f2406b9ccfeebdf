package configs

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/sinks"
	"github.com/ctferry/ctferry/source"
	"github.com/ctferry/ctferry/source/flow"
)

// Config is a whole configuration, typed and checked.
type Config struct {
	Node   string
	Meta   []flow.Pair // sorted by key
	Source source.Config
	Sinks  []sinks.Config // those that are enabled, sorted by name
	Files  []string       // that were read

	all []sinks.Config // disabled ones too
	raw raw
}

// Load reads, merges and checks. An error is an Errors when the configuration
// is wrong, and of another kind when it could not be read.
func Load(in Input) (*Config, error) {
	l, err := gather(in)
	if err != nil {
		return nil, err
	}
	b := &builder{layers: l}
	cfg := b.build(in.File == "")
	if errs := b.errors(); len(errs) > 0 {
		return nil, errs
	}
	return cfg, nil
}

// builder turns the merged layers into a Config and gathers what is wrong.
type builder struct {
	*layers
	faults option.Faults
	filter map[string]*flow.Filter // by canonical form: equal filters are one
	alias  map[string]string       // sinks.NAME -> connections.NAME, for places
}

func (b *builder) build(standalone bool) *Config {
	values := b.k.Raw()
	b.refuseLater(values)
	r := rawDefaults(hostName())
	b.faults = append(b.faults, decode(values, &r)...)
	cfg := &Config{Node: r.Node, Source: r.Source.config(), Files: b.files, raw: r}
	b.checkNode(cfg, r.Meta)
	b.faults.Join("source", cfg.Source.Validate())
	if standalone && len(r.Sinks) == 0 {
		r.Sinks = map[string]map[string]any{"stdout": {"type": "stdout"}}
	}
	b.sinks(cfg, r)
	return cfg
}

// refuseLater takes out the sections that this version does not have.
func (b *builder) refuseLater(values map[string]any) {
	for _, section := range later() {
		if _, ok := values[section]; ok {
			b.faults.Add(section, "is not in this version")
			delete(values, section)
		}
	}
}

// hostName is the node's name when none is configured.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

func (b *builder) checkNode(cfg *Config, meta map[string]string) {
	if cfg.Node == "" || len(cfg.Node) > 255 || strings.ContainsFunc(cfg.Node, func(r rune) bool { return r < ' ' }) {
		b.faults.Add("node", fmt.Sprintf("%q is no name: expected 1 to 255 printable characters", cfg.Node))
	}
	if len(meta) > flow.MaxMeta {
		b.faults.Add("meta", fmt.Sprintf("%d keys are too many: expected at most %d", len(meta), flow.MaxMeta))
	}
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`).MatchString(k) {
			b.faults.Add("meta."+k, "no name for a field: expected a letter or _, then letters, digits and _, at most 63")
		}
		cfg.Meta = append(cfg.Meta, flow.Pair{Key: k, Value: meta[k]})
	}
}

func (b *builder) sinks(cfg *Config, r raw) {
	if len(r.Sinks) == 0 {
		b.faults.Add("sinks", "there is none: expected at least one, such as `sinks: {out: {type: stdout}}`")
	}
	used := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(r.Sinks)) {
		c, ok := b.sink(name, r, used)
		if !ok {
			continue
		}
		cfg.all = append(cfg.all, c)
		if c.Enabled {
			cfg.Sinks = append(cfg.Sinks, c)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Connections)) {
		if !used[name] {
			b.connection(name, r.Connections[name])
		}
	}
}

// sink decodes one sink: its own keys over those of its connection.
func (b *builder) sink(name string, r raw, used map[string]bool) (sinks.Config, bool) {
	path := "sinks." + name
	values := maps.Clone(r.Sinks[name])
	kind, _ := values["type"].(string)
	if conn, ok := values["connection"]; ok {
		delete(values, "connection")
		name, _ := conn.(string)
		used[name] = true
		over, ok := b.connected(path, name, kind, values, r)
		if !ok {
			return sinks.Config{}, false
		}
		values = over
	}
	c, err := sinks.NewConfig(name, kind)
	if err != nil {
		b.faults.Join(path, err)
		return c, false
	}
	own, rest := split(values, keysOf(reflect.TypeFor[sinks.Config]()))
	if f, ok := rest["filter"]; ok {
		delete(rest, "filter")
		b.sinkFilter(path, f, &c)
	}
	before := len(b.faults)
	b.faults.Join(path, decode(own, &c).Err())
	b.faults.Join(path, b.options(rest, c.Options).Err())
	if len(b.faults) == before { // what could not be read cannot be judged
		b.faults.Join(path, c.Validate())
	}
	b.refuseOpenSecrets(path, reflect.TypeOf(c.Options), "")
	return c, len(b.faults) == before
}

// options decodes a kind's own keys; hints for unknown ones know the common keys too.
func (b *builder) options(values map[string]any, out sinks.Options) option.Faults {
	fs := decode(values, out)
	common := slices.Collect(maps.Keys(keysOf(reflect.TypeFor[sinks.Config]())))
	known := slices.Concat(common, slices.Collect(maps.Keys(keysOf(reflect.TypeOf(out)))), []string{"filter", "connection"})
	slices.Sort(known)
	for i := range fs {
		if strings.HasPrefix(fs[i].Text, "unknown key") && !strings.ContainsAny(fs[i].Path, ".[") {
			fs[i].Text = "unknown key" + hint(fs[i].Path, known)
		}
	}
	return fs
}

// connected lays the sink's keys over its connection's.
func (b *builder) connected(path, name, kind string, values map[string]any, r raw) (map[string]any, bool) {
	conn, ok := r.Connections[name]
	if !ok {
		b.faults.Add(path+".connection", fmt.Sprintf("%q is no connection%s", name, hint(name, slices.Sorted(maps.Keys(r.Connections)))))
		return nil, false
	}
	if t, _ := conn["type"].(string); t != kind {
		b.faults.Add(path+".connection", fmt.Sprintf("connection %s is of type %q and the sink of type %q: expected the same", name, t, kind))
		return nil, false
	}
	if b.alias == nil {
		b.alias = map[string]string{}
	}
	b.alias[path] = "connections." + name
	merged := maps.Clone(conn)
	maps.Copy(merged, values)
	return merged, true
}

// connection checks one that no sink uses: its type and its keys.
func (b *builder) connection(name string, values map[string]any) {
	path := "connections." + name
	kind, _ := values["type"].(string)
	c, err := sinks.NewConfig("unused", kind)
	if err != nil {
		b.faults.Join(path, err)
		return
	}
	rest := maps.Clone(values)
	delete(rest, "type")
	b.faults.Join(path, b.options(rest, c.Options).Err())
}

func (b *builder) sinkFilter(path string, v any, c *sinks.Config) {
	f, err := parseFilter(v)
	if err != nil {
		b.faults.Join(path+".filter", err)
		return
	}
	if b.filter == nil {
		b.filter = map[string]*flow.Filter{}
	}
	key := f.String()
	if known, ok := b.filter[key]; ok {
		c.Filter = known
		return
	}
	b.filter[key] = &f
	c.Filter = &f
}

// split parts values into those whose keys are known and the rest.
func split(values map[string]any, known map[string]reflect.Type) (own, rest map[string]any) {
	own, rest = map[string]any{}, map[string]any{}
	for k, v := range values {
		if _, ok := known[k]; ok {
			own[k] = v
		} else {
			rest[k] = v
		}
	}
	return own, rest
}

// refuseOpenSecrets refuses secrets on the command line, where everybody on
// the host can read them.
func (b *builder) refuseOpenSecrets(path string, t reflect.Type, below string) {
	for key, typ := range keysAt(t, below) {
		at := option.Below(below, key)
		if typ != reflect.TypeFor[option.Secret]() {
			if typ.Kind() == reflect.Struct {
				b.refuseOpenSecrets(path, t, at)
			}
			continue
		}
		full := option.Below(path, at)
		if p, ok := b.places[full]; ok && strings.HasPrefix(p.Source, "--set") {
			b.faults.Add(full, fmt.Sprintf("a secret is not taken from the command line: use %s_file", key))
		}
	}
}

// errors gives every fault its place.
func (b *builder) errors() Errors {
	errs := slices.Clone(b.errs)
	for _, f := range b.faults {
		place, _ := b.place(f.Path)
		errs = append(errs, Error{place, f})
	}
	slices.SortStableFunc(errs, func(x, y Error) int {
		order := slices.Index(b.files, x.Place.Source) - slices.Index(b.files, y.Place.Source)
		return cmp.Or(order, x.Place.Line-y.Place.Line, x.Place.Col-y.Place.Col)
	})
	return slices.CompactFunc(errs, func(x, y Error) bool { return x == y })
}

// place finds where a path was set: a sink's key may stand at its connection.
func (b *builder) place(path string) (Place, bool) {
	if p, ok := b.places[path]; ok {
		return p, true
	}
	for sink, conn := range b.alias {
		if rest, ok := strings.CutPrefix(path, sink+"."); ok {
			if p, ok := b.places[conn+"."+rest]; ok {
				return p, true
			}
		}
	}
	return b.places.near(path)
}
