package sinks

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// natsScript makes records from bytes, two a record: what it is and how long.
func natsScript(script []byte) (rs []Record) {
	origins := []*flow.Origin{{Node: "a", Run: [16]byte{1}}, {Node: "a", Run: [16]byte{1}}, {Node: "b", NetNS: "x", Run: [16]byte{2}}}
	types := []flow.Type{flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy, flow.TypeStatus}
	for i := 0; i+1 < len(script); i += 2 {
		what, size := script[i], int(script[i+1])
		r := Record{
			Seq: uint64(i/2) + 1, Type: types[what&3], FlowID: uint64(what >> 2 & 7), Table: flow.TableConntrack,
			Origin: origins[int(what>>5)%3], Family: flow.IPv4, Proto: flow.ProtoTCP,
			Value: bytes.Repeat([]byte{'x'}, size+1),
		}
		if r.Type == flow.TypeStatus {
			r.FlowID = 0
		}
		rs = append(rs, r)
	}
	return rs
}

// natsOutline is what a message shows of itself.
type natsOutline struct {
	id, subject string
	seqs        []uint64
}

func natsOutlines(p *natsPlan, rs []Record) (out []natsOutline) {
	id := newNATSID(Env{Name: "bus"})
	for i := range p.messages {
		m := &p.messages[i]
		o := natsOutline{id: string(id.of(&rs[m.head], &rs[m.tail])), subject: m.subject}
		for at := range p.places(m) {
			o.seqs = append(o.seqs, rs[at].Seq)
		}
		out = append(out, o)
	}
	return out
}

func checkNATSPlan(t *testing.T, template string, group Group, script []byte, room, most int) {
	t.Helper()
	subject, err := parseNATSSubject(template)
	if err != nil {
		t.Fatal(err)
	}
	rs := natsScript(script)
	p := newNATSPlan(subject, group)
	p.arrange(rs, room, most)
	seen := map[int]bool{}
	for _, i := range p.poison {
		seen[i] = true
	}
	type key struct { // a flow's id has the namespace in it, and a gap is its node's
		flow uint64
		node string
	}
	last := map[key]uint64{}
	ids := map[string]bool{}
	for i, o := range natsOutlines(&p, rs) {
		checkNATSMessage(t, &p, &p.messages[i], rs, room, most)
		if ids[o.id] {
			t.Fatalf("two messages %s", o.id)
		}
		ids[o.id] = true
		for at := range p.places(&p.messages[i]) {
			if seen[at] {
				t.Fatalf("record %d is there twice", at)
			}
			seen[at] = true
			k := key{rs[at].FlowID, rs[at].Origin.Node}
			if rs[at].Seq < last[k] {
				t.Fatalf("%v: %d comes after %d", k, rs[at].Seq, last[k])
			}
			last[k] = rs[at].Seq
		}
	}
	if len(seen) != len(rs) {
		t.Fatalf("%d of %d records", len(seen), len(rs))
	}
	checkNATSRetry(t, &p, rs, room, most)
}

func checkNATSMessage(t *testing.T, p *natsPlan, m *natsMessage, rs []Record, room, most int) {
	t.Helper()
	framing := encode.Lines
	if p.group == GroupRecordBatch {
		framing = encode.Delimited
	}
	body := encode.AppendGroup(nil, framing, p.values(m, rs))
	if len(body) != m.bytes || len(body) > most || m.count > 1 && len(body) > room {
		t.Fatalf("%d records, %d bytes, said to be %d, with room for %d and %d", m.count, len(body), m.bytes, room, most)
	}
	places := slices.Collect(p.places(m))
	if len(places) != m.count || m.count > 1 && p.group == GroupNone {
		t.Fatalf("%d records, said to be %d", len(places), m.count)
	}
	for i := int(m.head); i <= int(m.tail); i++ {
		same := p.subject.expand(templateKeyOf(&rs[i])) == m.subject
		if in := slices.Contains(places, i); in != same && !slices.Contains(p.poison, i) {
			t.Fatalf("record %d, of subject %v, is in the message: %v", i, same, in)
		}
		if slices.Contains(places, i) && runOf(&rs[i]) != runOf(&rs[m.head]) {
			t.Fatal("two runs in a message")
		}
	}
}

// checkNATSRetry delivers some messages from the front and arranges the rest anew.
func checkNATSRetry(t *testing.T, p *natsPlan, rs []Record, room, most int) {
	t.Helper()
	want := natsOutlines(p, rs)
	delivered := map[int]bool{}
	for n := range p.messages {
		for at := range p.places(&p.messages[n]) {
			delivered[at] = true
		}
		if n%(len(p.messages)/5+1) != 0 && n != len(p.messages)-2 {
			continue
		}
		var rest []Record
		for at := range rs {
			if !delivered[at] {
				rest = append(rest, rs[at])
			}
		}
		again := newNATSPlan(p.subject, p.group)
		again.arrange(rest, room, most)
		if got := natsOutlines(&again, rest); fmt.Sprint(got) != fmt.Sprint(want[n+1:]) {
			t.Fatalf("after %d messages:\n%v\nwant\n%v", n+1, got, want[n+1:])
		}
	}
}

func natsPlanTemplates() []string {
	return []string{"s", "{event_type}", "s.{node}.{table}.{event_type}", "{netns}", "{proto}.{family}"}
}

func FuzzNATSPlan(f *testing.F) {
	f.Add(uint8(0), uint8(0), uint16(300), uint16(400), []byte("abcdefghijklmnopqrstuvwxyz0123456789"))
	f.Add(uint8(1), uint8(1), uint16(1000), uint16(2000), bytes.Repeat([]byte{0, 9, 6, 9, 1, 9, 2, 9, 3, 9}, 40))
	f.Add(uint8(2), uint8(2), uint16(100), uint16(90), bytes.Repeat([]byte{0, 9, 0x46, 200, 1, 9}, 40))
	f.Fuzz(func(t *testing.T, template, group uint8, room, most uint16, script []byte) {
		groups := []Group{GroupNone, GroupNDJSON, GroupRecordBatch}
		script = script[:min(len(script), 400)] // the check is quadratic
		checkNATSPlan(t, natsPlanTemplates()[int(template)%5], groups[group%3], script, int(min(room, most)), int(most))
	})
}

// A node that is seen under ever new names does not make the plan grow.
func TestNATSPlanIsBounded(t *testing.T) {
	subject, err := parseNATSSubject("{node}")
	if err != nil {
		t.Fatal(err)
	}
	p := newNATSPlan(subject, GroupNDJSON)
	for i := range 4 {
		rs := natsRecords(0, 2*natsMaxSubjects)
		for j := range rs {
			rs[j].Origin = &flow.Origin{Node: fmt.Sprintf("n%d-%d", i, j)}
		}
		p.arrange(rs, 1000, 1000)
		if len(p.messages) != len(rs) || len(p.names) > len(rs) {
			t.Fatalf("%d messages, %d names", len(p.messages), len(p.names))
		}
	}
}

// Two types of event that follow one another closely still make large messages.
func TestNATSPlanGathers(t *testing.T) {
	subject, err := parseNATSSubject("{event_type}")
	if err != nil {
		t.Fatal(err)
	}
	p := newNATSPlan(subject, GroupNDJSON)
	rs := natsRecords(0, 4000)
	for i := range rs { // 1000 flows, each new and then gone
		rs[i].FlowID, rs[i].Type = uint64(i/2), []flow.Type{flow.TypeNew, flow.TypeDestroy}[i%2]
	}
	p.arrange(rs, 1<<20, 1<<20)
	if len(p.messages) != 2 {
		t.Errorf("%d messages", len(p.messages))
	}
}
