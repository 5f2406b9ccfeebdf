package control

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestLaw tries every member with every verb and table: what a verb does not
// take is refused by name.
func TestLaw(t *testing.T) {
	donor := map[string]string{
		"family": `"family":"ipv4"`, "filter": `"filter":{"zone":1}`, "limit": `"limit":1`, "dry_run": `"dry_run":true`, "rows": `"rows":true`,
		"replace": `"replace":true`, "types": `"types":["new"]`, "buffer": `"buffer":1`, "helper": `"helper":"ftp"`, "format": `"format":"xml"`,
		"change": `"change":{"mark":1}`,
		"keys":   `"keys":[{"proto":99,"orig":{"src":"10.0.0.1","dst":"10.0.0.2"}}]`, "entries": `"entries":[{"proto_num":99,"timeout":1,"orig":{"src":"10.0.0.1","dst":"10.0.0.2"}}]`,
	}
	takes := map[string]string{
		"list conntrack": "family filter limit format", "list expect": "family filter limit format",
		"list dying": "family filter limit format", "list unconfirmed": "family filter limit format",
		"zero conntrack": "family filter limit format dry_run",
		"get conntrack":  "format", "get expect": "format",
		"count conntrack": "family filter", "count expect": "family filter", "stats conntrack": "", "stats expect": "",
		"watch conntrack": "family filter types buffer format", "watch expect": "family filter types buffer format",
		"delete conntrack": "family filter limit dry_run rows format keys", "delete expect": "family filter limit dry_run rows format keys",
		"update conntrack": "family filter limit dry_run rows format keys", "create conntrack": "replace dry_run rows format",
		"create expect": "dry_run rows format", "flush conntrack": "family dry_run", "flush expect": "helper dry_run",
	}
	needs := map[Verb]string{VerbGet: "keys", VerbUpdate: "change", VerbCreate: "entries"}
	for _, v := range Verbs() {
		for _, table := range AllTables() {
			want, known := takes[string(v)+" "+string(table)]
			if !known {
				if err := (&Request{Verb: v, Table: table}).Validate(); !fieldIs(err, "verb") {
					t.Errorf("%s %s: %v", v, table, err)
				}
				continue
			}
			for member, text := range donor {
				full := `{"v":1,` + text
				if n := needs[v]; n != "" && n != member {
					full += "," + donor[n]
				}
				if table == TableExpect {
					full = strings.Replace(full, `"orig":{`, `"tuple":{`, 1)
					if v == VerbCreate || member == "entries" {
						continue // has its own test
					}
				}
				q, err := DecodeRequest([]byte(full+"}"), nil)
				if err != nil {
					t.Fatalf("%s: %v", full, err)
				}
				q.Verb, q.Table = v, table
				err = q.Validate()
				taken := strings.Contains(" "+want+" ", " "+member+" ") || needs[v] == member
				if taken && err != nil || !taken && !fieldIs(err, member) {
					t.Errorf("%s %s with %s: %v, taken %v", v, table, member, err, taken)
				}
			}
			if n := needs[v]; n != "" {
				if err := (&Request{Verb: v, Table: table}).Validate(); !fieldIs(err, n) {
					t.Errorf("%s %s with nothing: %v", v, table, err)
				}
			}
		}
	}
}

func fieldIs(err error, field string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == CodeInvalid && e.Field == field && e.Message != ""
}

func TestValidateValues(t *testing.T) {
	for _, c := range []struct {
		text  string // of verb and table too
		field string
	}{
		{`"verb":"delete","table":"conntrack","filter":{"zone":1},"keys":[{"proto":99,"orig":{"src":"10.0.0.1","dst":"10.0.0.2"}}]`, "keys"},
		{`"verb":"delete","table":"conntrack","family":"ipv4","keys":[{"proto":99,"orig":{"src":"10.0.0.1","dst":"10.0.0.2"}}]`, "family"},
		{`"verb":"delete","table":"conntrack","limit":4,"keys":[{"proto":99,"orig":{"src":"10.0.0.1","dst":"10.0.0.2"}}]`, "limit"},
		{`"verb":"delete","table":"conntrack","keys":[{"proto":99,"tuple":{"src":"10.0.0.1","dst":"10.0.0.2"}}]`, "keys[0]"},
		{`"verb":"delete","table":"expect","keys":[{"proto":99,"orig":{"src":"10.0.0.1","dst":"10.0.0.2"}}]`, "keys[0]"},
		{`"verb":"list","table":"conntrack","netns":"../x"`, "netns"},
		{`"verb":"list","table":"conntrack","request":"a b"`, "request"},
		{`"verb":"list","table":"conntrack","format":"yaml"`, "format"},
		{`"verb":"update","table":"conntrack","change":{}`, "change"},
		{`"verb":"update","table":"conntrack","change":{"tcp_state":"CLOSE","orig_vtag":1}`, "change"},
		{`"verb":"create","table":"conntrack","entries":[{"proto":"udp","orig":{"src":"10.0.0.1","dst":"10.0.0.2","sport":1,"dport":2}}]`, "entries[0].timeout"},
		{`"verb":"create","table":"conntrack","entries":[{"proto":"udp","timeout":1,"orig":{"src":"10.0.0.1","dst":"10.0.0.2","sport":1}}]`, "entries[0].orig"},
		{`"verb":"create","table":"conntrack","entries":[{"timeout":1}]`, "entries[0].orig"},
		{`"verb":"create","table":"conntrack","entries":[{"table":"expect","timeout":1}]`, "entries[0].table"},
		{`"verb":"create","table":"expect","entries":[{"expect":{}}]`, "entries[0].expect.tuple"},
		{`"verb":"create","table":"expect","entries":[{"table":"expect"}]`, "entries[0].expect"},
		{`"verb":"create","table":"expect","entries":[{"src_nat":{"port":1},"expect":{}}]`, "entries[0].expect"},
	} {
		q, err := DecodeRequest([]byte(`{"v":1,`+c.text+`}`), nil)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if err := q.Validate(); !fieldIs(err, c.field) {
			t.Errorf("%s: %v, want %s", c.text, err, c.field)
		}
	}
	if err := (&Request{Verb: VerbList, Table: TableConntrack, Timeout: -time.Second}).Validate(); !fieldIs(err, "timeout") {
		t.Error(err)
	}
}

func TestBind(t *testing.T) {
	q := Request{Verb: VerbList}
	if err := q.Bind(VerbDelete, TableConntrack); !fieldIs(err, "verb") {
		t.Error(err)
	}
	if err := q.Bind(VerbList, TableExpect); err != nil || q.Table != TableExpect {
		t.Errorf("%v, %+v", err, q)
	}
	if err := q.Bind(VerbList, TableConntrack); !fieldIs(err, "table") {
		t.Error(err)
	}
}
