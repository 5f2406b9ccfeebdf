package configs

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/sinks"
)

// bad is a file that is wrong and everything that is told of it; KINDS stands
// for the types of sinks that there are.
type bad struct{ name, file, want string }

func TestBad(t *testing.T) {
	kinds := strings.Join(slices.Sorted(maps.Keys(sinks.Kinds())), ", ")
	for _, tables := range [][]bad{badShape(), badValues(), badSource(), badSinks(), badConnections()} {
		for _, c := range tables {
			t.Run(c.name, func(t *testing.T) { same(t, file(c.file).faults(t), strings.ReplaceAll(c.want, "KINDS", kinds)) })
		}
	}
}

func badShape() []bad {
	return []bad{
		{"no sink", `node: a
`, "a.yaml:1:1: sinks: there is none: expected at least one, such as out: {type: stdout}"},
		{"empty file", ``, "a.yaml:1:1: sinks: there is none: expected at least one, such as out: {type: stdout}"},
		{"comment only", `# nothing
`, `a.yaml:1:1: sinks: there is none: expected at least one, such as out: {type: stdout}`},
		{"a list", `- a
`, `a.yaml:1:1: expected a mapping of keys to values, not a list`},
		{"a text", `hello`, `a.yaml:1:1: expected a mapping of keys to values, not the text "hello"`},
		{"two documents", `sinks: {out: {type: stdout}}
---
node: b
`, `a.yaml:2:1: a second document begins here: expected one`},
		{"not YAML", `node: a
sinks:
  out: {type: stdout
`, `a.yaml:2:1: not valid YAML: did not find expected ',' or '}'`},
		{"tab", `node: a
source:
	events: [new]
`, `a.yaml:3:1: not valid YAML: found character that cannot start any token`},
		{"unknown anchor", `node: *nope
`, `a.yaml:1:1: not valid YAML: unknown anchor 'nope' referenced`},
		{"twice", `node: a
sinks: {out: {type: stdout}}
node: b
`, `a.yaml:3:1: node: stands twice, first at line 1`},
		{"twice below", `sinks:
  out: {type: stdout}
  out:
    type: stdout
`, `a.yaml:3:3: sinks.out: stands twice, first at line 2`},
		{"unknown key", `nodes: a
sinks: {out: {type: stdout}}
`, `a.yaml:1:1: nodes: unknown key; did you mean node?`},
		{"unknown keys", `sinks: {out: {type: stdout}}
source:
  evnets: [new]
  buffer: {sizze: 1MiB}
  dump:
    intervall: 1m
blurb: 1
`, `a.yaml:3:3: source.evnets: unknown key; did you mean events?
a.yaml:4:12: source.buffer.sizze: unknown key; did you mean size?
a.yaml:6:5: source.dump.intervall: unknown key; did you mean interval?
a.yaml:7:1: blurb: unknown key; known here: connections, meta, node, sinks, source`},
		{"dotted key", `source.events: [new]
sinks: {out: {type: stdout}}
`, `a.yaml:1:1: source.events: unknown key; a dot does not part levels in a file: nest the keys`},
		{"list as a key", `? [a, b]
: c
sinks: {out: {type: stdout}}
`, `a.yaml:1:3: expected a name as a key, not a list or a mapping`},
		{"empty key", `'': c
sinks: {out: {type: stdout}}
`, `a.yaml:1:1: expected a name as a key, not an empty text`},
		{"number as a key", `12: c
sinks: {out: {type: stdout}}
`, `a.yaml:1:1: 12: unknown key; known here: connections, meta, node, sinks, source`},
		{"a tag", `node: !!binary aGk=
meta: !thing {a: b}
sinks: {out: {type: stdout}}
`, `a.yaml:1:7: node: the tag !!binary is not known here
a.yaml:2:7: meta: the tag !thing is not known here`},
		{"merge of a text", `sinks:
  out:
    <<: hello
    type: stdout
`, `a.yaml:3:9: sinks.out: expected a mapping after <<`},
		{"anchor in itself", `x-a: &a [*a]
sinks: {out: {type: stdout}}
`, `a.yaml:1:10: x-a[0][0]: *a stands inside of what it names`},
		{"merge of itself", `x-a: &a
  <<: *a
sinks: {out: {type: stdout}}
`, `a.yaml:2:7: x-a: *a stands inside of what it names`},
	}
}

func badValues() []bad {
	return []bad{
		{"section is a text", `source: fast
sinks: {out: {type: stdout}}
`, `a.yaml:1:1: source: expected a mapping of keys to values, not the text "fast"`},
		{"section is a list", `sinks: [{type: stdout}]
`, `a.yaml:1:1: sinks: expected a mapping of names to values, not a list`},
		{"sink is a text", `sinks: {out: stdout}
`, `a.yaml:1:9: sinks.out: expected a mapping of keys to values, not the text "stdout"`},
		{"list is a text", `sinks: {out: {type: stdout}}
source: {events: destroy}
`, `a.yaml:2:10: source.events: expected a list such as [a, b], not the text "destroy"`},
		{"text is a list", `node: [a]
sinks: {out: {type: stdout}}
`, `a.yaml:1:1: node: expected a text, not a list`},
		{"text is empty", `node:
sinks: {out: {type: stdout}}
`, `a.yaml:1:1: node: expected a text, not an empty value`},
		{"numbers", `sinks:
  out:
    type: stdout
    flush: {count: many, linger: 20}
    community_id_seed: 70000
    memory: 64 apples
`, `a.yaml:4:13: sinks.out.flush.count: expected a whole number, not the text "many"
a.yaml:4:26: sinks.out.flush.linger: "20": expected a duration such as 200ms, 5s or 1h30m
a.yaml:5:5: sinks.out.community_id_seed: expected a whole number from 0 to 65535, not the number 70000
a.yaml:6:5: sinks.out.memory: "64 apples" is not a size: expected a whole number with B, KiB, MiB, GiB or TiB, such as 64MiB`},
		{"more numbers", `sinks:
  out:
    type: stdout
    flush: {count: 1.5, bytes: -1, linger: -2s}
    community_id_seed: -1
    memory: [1MiB]
`, `a.yaml:4:13: sinks.out.flush.count: expected a whole number, not the number 1.5
a.yaml:4:25: sinks.out.flush.bytes: "-1" is not a size: expected a whole number with B, KiB, MiB, GiB or TiB, such as 64MiB
a.yaml:4:36: sinks.out.flush.linger: "-2s": expected a duration such as 200ms, 5s or 1h30m
a.yaml:5:5: sinks.out.community_id_seed: expected a whole number from 0 to 65535, not the number -1
a.yaml:6:5: sinks.out.memory: expected a size such as 64MiB, not a list`},
		{"octal", `sinks:
  out:
    type: stdout
    flush: {count: 0100}
`, `a.yaml:4:13: sinks.out.flush.count: expected a whole number, not the number 0100, which begins with 0`},
		{"booleans", `sinks:
  out:
    type: stdout
    enabled: yes
    community_id: 1
`, `a.yaml:4:5: sinks.out.enabled: expected true or false, not the text "yes"
a.yaml:5:5: sinks.out.community_id: expected true or false, not the number 1`},
		{"quoted", `sinks:
  out:
    type: stdout
    enabled: "true"
    flush: {count: "5"}
`, `a.yaml:4:5: sinks.out.enabled: expected true or false, not the text "true"
a.yaml:5:13: sinks.out.flush.count: expected a whole number, not the text "5"`},
		{"meta", `meta:
  a-b: c
  ok: [1]
  long: "a\nb"
  x-note: 1
sinks: {out: {type: stdout}}
`, `a.yaml:2:3: meta.a-b: no name for a field: expected a letter or _, then letters, digits and _, at most 63
a.yaml:3:3: meta.ok: expected a text, not a list
a.yaml:4:3: meta.long: "a\nb": expected at most 255 printable bytes`},
		{"much meta", `meta: {a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7, h: 8, i: 9, j: 10, k: 11, l: 12, m: 13, n: 14, o: 15, p: 16, q: 17}
sinks: {out: {type: stdout}}
`, `a.yaml:1:1: meta: 17 keys are too many: expected at most 16`},
		{"node", "node: \"a\\x07\"\nsinks: {out: {type: stdout}}\n", `a.yaml:1:1: node: "a\a" is no name: expected 1 to 255 printable bytes`},
		{"printed URL", `node: nats://***@hub:4222
sinks: {out: {type: stdout}}
`, `a.yaml:1:1: node: *** stands for a password that was not printed: give the password itself in a key of its own`},
	}
}

func badSource() []bad {
	return []bad{
		{"words", `source:
  events: [new, dump]
  tables: [conntrack, nat]
  receive: fast
sinks: {out: {type: stdout}}
`, `a.yaml:2:17: source.events[1]: "dump" is no event of the kernel: expected new, update or destroy
a.yaml:3:23: source.tables[1]: "nat" is no table: expected conntrack or expect
a.yaml:4:3: source.receive: "fast" is not known: expected auto or socket`},
		{"not yet", `source:
  receive: ring
  track: true
sinks: {out: {type: stdout}}
`, `a.yaml:2:3: source.receive: ring is not in this version: expected auto or socket
a.yaml:3:3: source.track: is not in this version: expected false`},
		{"sizes", `source:
  buffer: {size: 1KiB, max: 3GiB}
  dump: {interval: 10ms}
  netns: [blue, ../red]
sinks: {out: {type: stdout}}
`, `a.yaml:2:12: source.buffer.size: 1KiB is out of range: expected 208KiB to 2GiB
a.yaml:2:24: source.buffer.max: 3GiB is out of range: expected buffer.size (1KiB) to 2GiB
a.yaml:3:10: source.dump.interval: 10ms is too short: expected 0s (never) or at least 1s
a.yaml:4:17: source.netns[1]: "../red" is no name: expected the name or glob of a file in /run/netns`},
		{"max below size", `source:
  buffer:
    max: 32MiB
sinks: {out: {type: stdout}}
`, `a.yaml:3:5: source.buffer.max: 32MiB is out of range: expected buffer.size (64MiB) to 2GiB`},
		{"filter", `source:
  filter:
    exclude:
      - {proto: udp, port: 53}
      - proto: tpc
        dport: 70000
      - addres: 10.0.0.0/8
sinks: {out: {type: stdout}}
`, `a.yaml:5:9: source.filter.exclude[1].proto: expected tcp, udp, icmp, icmpv6, udplite, sctp, dccp, gre, a number from 0 to 255 or a range such as 5-9, not "tpc"; did you mean tcp?
a.yaml:6:9: source.filter.exclude[1].dport: expected a number from 0 to 65535 or a range such as 5-9, not "70000"
a.yaml:7:9: source.filter.exclude[2].addres: no such field; did you mean addr?`},
		{"bare filter", `source:
  filter: {prto: udp}
sinks: {out: {type: stdout}}
`, `a.yaml:2:12: source.filter.prto: no such field; did you mean proto?`},
		{"filter is a list", `source:
  filter: [udp]
sinks: {out: {type: stdout}}
`, `a.yaml:2:3: source.filter: expected {include: […], exclude: […]} or one term such as {proto: tcp}, not a list`},
		{"later", `spool: {mode: memory}
control:
  enabled: true
nats_server: {listen: 127.0.0.1:4222}
admin: {listen: 127.0.0.1:9479}
sinks: {out: {type: stdout}}
`, `a.yaml:1:1: spool: is not in this version: expected mode: off, or no such section
a.yaml:2:1: control: is not in this version: expected enabled: false, or no such section
a.yaml:4:1: nats_server: is not in this version: expected enabled: false, or no such section
a.yaml:5:1: admin: is not in this version: expected listen: "", or no such section`},
	}
}

func badSinks() []bad {
	return []bad{
		{"no type", `sinks:
  out: {enabled: true}
`, `a.yaml:2:3: sinks.out.type: missing: expected KINDS`},
		{"unknown type", `sinks:
  out:
    type: kafak
`, `a.yaml:3:5: sinks.out.type: "kafak" is not known: expected KINDS`},
		{"type is a list", `sinks:
  out:
    type: [file]
`, `a.yaml:3:5: sinks.out.type: expected a text, not a list`},
		{"empty", `sinks:
  out:
`, `a.yaml:2:3: sinks.out.type: missing: expected KINDS`},
		{"name", `sinks:
  Out-1:
    type: stdout
`, `a.yaml:2:3: sinks.Out-1: "Out-1" is no name for a sink: expected a-z, then a-z, 0-9 and _`},
		{"words", `sinks:
  out:
    type: stdout
    encoding: jsonl
    batch: all
    events: [new, gone]
`, `a.yaml:4:5: sinks.out.encoding: "jsonl" is not known: expected json, protobuf, xml
a.yaml:5:5: sinks.out.batch: "all" is not known here: expected none
a.yaml:6:19: sinks.out.events[1]: "gone" is no event that a sink can choose: expected new, update, destroy, dump or interim`},
		{"fields", `sinks:
  out:
    type: stdout
    fields: [time, origg]
`, `a.yaml:4:20: sinks.out.fields[1]: unknown field "origg", did you mean "orig"?`},
		{"fields and omit", `sinks:
  out:
    type: stdout
    fields: [time]
    omit: [timeout]
`, `a.yaml:2:3: sinks.out: fields and omit are both given: use one of them`},
		{"of another kind", `sinks:
  out:
    type: stdout
    topic: conntrack
    path: /var/log/x
    sasl: {user: a}
`, `a.yaml:4:5: sinks.out.topic: unknown key for type stdout: it belongs to type kafka
a.yaml:5:5: sinks.out.path: unknown key for type stdout: it belongs to type file
a.yaml:6:5: sinks.out.sasl: unknown key for type stdout: it belongs to type kafka`},
		{"nested unknown", `sinks:
  out:
    type: file
    path: /var/log/x
    rotate: {sise: 1MiB, intervall: 1h}
    fsnc: none
    filtre: {}
`, `a.yaml:5:14: sinks.out.rotate.sise: unknown key; did you mean size?
a.yaml:5:26: sinks.out.rotate.intervall: unknown key; did you mean interval?
a.yaml:6:5: sinks.out.fsnc: unknown key; did you mean fsync?
a.yaml:7:5: sinks.out.filtre: unknown key; did you mean filter?`},
		{"missing", `sinks:
  k:
    type: kafka
    acks: none
`, `a.yaml:2:3: sinks.k.brokers: missing: expected a list of host:port
a.yaml:2:3: sinks.k.topic: missing: expected a topic's name
a.yaml:4:5: sinks.k.acks: none is not offered, because nothing could then be accounted for: expected all or leader`},
		{"disabled is checked", `sinks:
  a: {type: stdout}
  b: {type: file, path: relative, enabled: false}
`, `a.yaml:3:19: sinks.b.path: "relative": expected an absolute path without . and .. and doubled slashes`},
		{"none enabled", `sinks:
  b: {type: file, path: /var/log/b, enabled: false}
`, `a.yaml:1:1: sinks: none is enabled: expected at least one`},
		{"filter", `sinks:
  out:
    type: stdout
    filter:
      include: [{proto: tcp}, {dport: x}]
`, `a.yaml:5:32: sinks.out.filter.include[1].dport: expected a number from 0 to 65535 or a range such as 5-9, not "x"`},
		{"one file", `sinks:
  a: {type: file, path: /var/log/x.jsonl}
  b: {type: file, path: "/var/log/{sink}.jsonl"}
  x:
    type: file
    path: /var/log/{sink}.jsonl
`, `a.yaml:6:5: sinks.x.path: "/var/log/{sink}.jsonl" is written by sinks.a.path already: expected another`},
		{"dead letters", `sinks:
  a: {type: file, path: /var/log/a, dead_letter: {path: /var/log/d}}
  b: {type: file, path: /var/log/b, dead_letter: {path: /var/log/d}}
  c: {type: stdout, dead_letter: {path: /var/log/a}}
  d: {type: stdout}
`, `a.yaml:3:51: sinks.b.dead_letter.path: "/var/log/d" is written by sinks.a.dead_letter.path already: expected another
a.yaml:4:35: sinks.c.dead_letter.path: "/var/log/a" is written by sinks.a.path already: expected another
a.yaml:5:7: sinks.d.type: standard output is written by sinks.c.type already: expected another`},
		{"password", `sinks:
  k:
    type: kafka
    brokers: [a:1]
    topic: t
    sasl: {mechanism: plain, user: u, password: p, password_file: /p}
`, `a.yaml:6:39: sinks.k.sasl.password: expected either password or password_file`},
		{"printed password", `sinks:
  k:
    type: kafka
    brokers: [a:1]
    topic: t
    sasl: {mechanism: plain, user: u, password: "***"}
`, `a.yaml:6:39: sinks.k.sasl.password: *** stands for a secret that was not printed: give the secret itself or sasl.password_file`},
		{"password is a list", `sinks:
  k:
    type: kafka
    brokers: [a:1]
    topic: t
    sasl: {mechanism: plain, user: u, password: [hunter2]}
`, `a.yaml:6:39: sinks.k.sasl.password: expected a text, not a list`},
	}
}

func badConnections() []bad {
	return []bad{
		{"unknown", `connections:
  k1: {type: kafka, brokers: [a:1]}
sinks:
  k: {type: kafka, connection: k2, topic: t}
`, `a.yaml:4:20: sinks.k.connection: "k2" is no connection; did you mean k1?`},
		{"not a text", `sinks:
  k: {type: kafka, connection: [k2], topic: t}
`, `a.yaml:2:20: sinks.k.connection: expected a text, not a list`},
		{"none", `sinks:
  k: {type: kafka, connection: k2, topic: t}
`, `a.yaml:2:20: sinks.k.connection: "k2" is no connection`},
		{"other type", `connections:
  k1: {type: kafka, brokers: [a:1]}
sinks:
  f: {type: file, connection: k1, path: /var/log/f}
`, `a.yaml:4:19: sinks.f.connection: connection k1 is of type kafka and the sink of type file: expected the same`},
		{"once, at its place", `connections:
  k1:
    type: kafka
    brokers: [a:1, b]
    tls: {min_version: 1.1}
    broker: x
sinks:
  a: {type: kafka, connection: k1, topic: t}
  b: {type: kafka, connection: k1, topic: u}
`, `a.yaml:4:20: connections.k1.brokers[1]: "b" is no broker: expected host:port
a.yaml:5:11: connections.k1.tls.min_version: "1.1" is not known: expected 1.2 or 1.3
a.yaml:6:5: connections.k1.broker: unknown key; did you mean brokers?`},
		{"unused", `connections:
  k1:
    type: kafka
    brokers: a:1
    topik: x
  k2: {}
  K3: {type: kafka}
  k4: {type: nope}
sinks:
  out: {type: stdout}
`, `a.yaml:4:5: connections.k1.brokers: expected a list such as [a, b], not the text "a:1"
a.yaml:5:5: connections.k1.topik: unknown key; did you mean topic?
a.yaml:6:3: connections.k2.type: missing: expected KINDS
a.yaml:7:3: connections.K3: "K3" is no name for a connection: expected a-z, then a-z, 0-9 and _
a.yaml:8:8: connections.k4.type: "nope" is not known: expected KINDS`},
		{"sink's key", `connections:
  k1:
    type: kafka
    encoding: json
    filter: {}
sinks:
  out: {type: stdout}
`, `a.yaml:4:5: connections.k1.encoding: unknown key: it belongs to a sink, not to a connection
a.yaml:5:5: connections.k1.filter: unknown key: it belongs to a sink, not to a connection`},
		{"lacks", `connections:
  k1: {type: kafka}
sinks:
  a: {type: kafka, connection: k1}
`, `a.yaml:4:3: sinks.a.brokers: missing: expected a list of host:port
a.yaml:4:3: sinks.a.topic: missing: expected a topic's name`},
		{"half a pair", `connections:
  k1:
    type: kafka
    brokers: [a:1]
    tls: {cert_file: /c}
sinks:
  a: {type: kafka, connection: k1, topic: t}
  b:
    type: kafka
    connection: k1
    topic: t
    tls: {key_file: /k}
`, `a.yaml:5:11: connections.k1.tls.cert_file: cert_file and key_file go together`},
		{"printed", `connections:
  k1:
    type: kafka
    brokers: [a:1]
    sasl: {mechanism: plain, user: u, password: '***'}
sinks:
  a: {type: kafka, connection: k1, topic: t}
`, `a.yaml:5:39: connections.k1.sasl.password: *** stands for a secret that was not printed: give the secret itself or sasl.password_file`},
	}
}
