package encode

import (
	"strings"
	"testing"
)

// ecsTop are the names that ECS gives a type at the top level: the field sets,
// which are objects, and the fields of base. From the folder schemas of
// github.com/elastic/ecs (9.5.0-dev, one file a field set), which lists also
// those that are only used inside of others (as, geo, hash, os, pe, …): they
// are kept free too.
var ecsTop = map[string]string{
	"@timestamp": "date", "labels": "object", "message": "match_only_text", "tags": "keyword",
	"agent": "object", "as": "object", "client": "object", "cloud": "object", "code_signature": "object", "container": "object",
	"data_stream": "object", "destination": "object", "device": "object", "dll": "object", "dns": "object", "ecs": "object",
	"elf": "object", "email": "object", "entity": "object", "error": "object", "event": "object", "faas": "object",
	"file": "object", "gen_ai": "object", "geo": "object", "group": "object", "hash": "object", "host": "object", "http": "object",
	"interface": "object", "log": "object", "macho": "object", "network": "object", "observer": "object", "orchestrator": "object",
	"organization": "object", "os": "object", "package": "object", "parent": "object", "pe": "object", "process": "object",
	"registry": "object", "related": "object", "risk": "object", "rule": "object", "server": "object", "service": "object",
	"source": "object", "span": "object", "target": "object", "thread": "object", "threat": "object", "tls": "object",
	"token": "object", "trace": "object", "transaction": "object", "url": "object", "user": "object", "user_agent": "object",
	"vlan": "object", "volume": "object", "vulnerability": "object", "x509": "object",
}

// ecsAgent are the fields of the one field set whose name the record uses too
// (schemas/agent.yml): they are all keywords, so they must be text here.
var ecsAgent = []string{"version", "name", "type", "id", "ephemeral_id", "build"}

func TestNoNameThatECSUsesOtherwise(t *testing.T) {
	for i := range recordMembers {
		m := &recordMembers[i]
		ecs, known := ecsTop[m.name]
		if known && (ecs != "object" || m.kind != kindMessage || m.many) {
			t.Errorf("%s is %s in ECS, and %s here", m.name, ecs, m.kind.want())
		}
		if known && m.name != "agent" {
			t.Errorf("%s is a field set of ECS: list its fields here and compare them", m.name)
		}
		if strings.ContainsAny(m.name, ".@") {
			t.Errorf("%s would be a path in Elasticsearch", m.name)
		}
	}
	for _, name := range ecsAgent {
		if m := byName(agentMembers, name); m != nil && m.kind != kindString {
			t.Errorf("agent.%s is a keyword in ECS, and %s here", name, m.kind.want())
		}
	}
}
