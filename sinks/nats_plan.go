package sinks

import (
	"iter"
	"slices"

	"github.com/ctferry/ctferry/source/flow"
)

// natsMaxSubjects bounds the subjects that are remembered from one Write to
// the next.
const natsMaxSubjects = 4096

// natsPlan sorts a batch into messages, in the order in which they are to
// leave. All records of one have the same subject, and those of a subject
// follow one another through its messages without a gap, so that the first and
// the last sequence number tell all that is in one.
//
// It depends on nothing but the records and the room, and the messages that
// are left when some from the front are delivered come out the same again.
type natsPlan struct {
	subject natsSubjectTemplate
	group   Group
	follow  bool // a flow's records can overtake one another

	messages []natsMessage
	poison   []int   // places of records that no message can hold
	next     []int32 // for each record the place of the next in its message, or -1

	names map[natsNameKey]*natsTarget
	byKey map[string]*natsTarget
	last  *natsTarget // of the latest record: most have the subject of the one before
	met   int         // how many subjects the batch has so far
	turn  uint64      // of Writes, to tell a target's open message from an old one
	after natsTrail   // by flow: the message of its latest record; of those in the first nothing is noted

	lastKey natsNameKey
}

// natsMessage is some of a batch's records.
type natsMessage struct {
	subject      string
	head, tail   int32 // the places of its first and last record
	count, bytes int
}

// unbroken reports whether the message has all records from its first to its last.
func (m *natsMessage) unbroken() bool { return int(m.tail-m.head)+1 == m.count }

// natsNameKey is what a subject depends on; the origin's strings are compared
// by its address, for speed.
type natsNameKey struct {
	origin *flow.Origin
	table  flow.Table
	event  flow.Type
	family flow.Family
	proto  uint8
}

// natsTarget is a subject and the message that is open for it.
type natsTarget struct {
	subject string
	turn    uint64
	open    int32
}

func newNATSPlan(subject natsSubjectTemplate, group Group) natsPlan {
	return natsPlan{
		subject: subject, group: group, follow: group != GroupNone && subject.splitsFlows(),
	}
}

// arrange sorts the batch. No message of several records exceeds room, no
// message at all exceeds most, both in bytes of payload.
func (p *natsPlan) arrange(records []Record, room, most int) {
	p.begin(len(records))
	for i := range records {
		r := &records[i]
		alone := p.lenAlone(r.Value)
		if alone > most {
			p.poison = append(p.poison, i)
			continue
		}
		t := p.target(r)
		m := p.choose(t, r, records, room)
		if m < 0 {
			if t.turn != p.turn {
				p.meet(records)
			}
			t.turn, t.open = p.turn, int32(len(p.messages))
			p.messages = append(p.messages, natsMessage{subject: t.subject, head: int32(i), tail: int32(i), count: 1, bytes: alone})
			m = t.open
		} else {
			p.add(m, i, r.Value)
		}
		if m > 0 && p.followed() {
			p.after.set(r.FlowID, m)
		}
	}
}

func (p *natsPlan) begin(n int) {
	if p.names == nil || len(p.names) > natsMaxSubjects || len(p.byKey) > natsMaxSubjects {
		p.names, p.byKey, p.last = map[natsNameKey]*natsTarget{}, map[string]*natsTarget{}, nil
	}
	p.turn++
	p.messages, p.poison = p.messages[:0], p.poison[:0]
	p.next = slices.Grow(p.next[:0], n)[:n]
	for i := range p.next {
		p.next[i] = -1
	}
	p.met = 0
}

// followed reports whether it matters where a flow's records went: with one
// subject none overtakes another.
func (p *natsPlan) followed() bool { return p.follow && p.met > 1 }

// meet counts the batch's subjects. When there is a second, all that the first
// has is followed.
func (p *natsPlan) meet(records []Record) {
	if p.met++; p.met != 2 || !p.follow {
		return
	}
	p.after.begin(len(records))
	for m := 1; m < len(p.messages); m++ {
		for i := range p.places(&p.messages[m]) {
			p.after.set(records[i].FlowID, int32(m))
		}
	}
}

// choose gives the open message that the record may join, or -1. It may not
// join one that leaves before a message which holds an earlier record of its
// flow, nor one of another run, whose sequence numbers are others.
func (p *natsPlan) choose(t *natsTarget, r *Record, records []Record, room int) int32 {
	if t.turn != p.turn || p.group == GroupNone || p.followed() && p.after.of(r.FlowID) > t.open {
		return -1
	}
	m := &p.messages[t.open]
	if m.bytes+groupedLen(p.group, r.Value) > room || !sameRun(r, &records[m.tail]) {
		return -1
	}
	return t.open
}

func (p *natsPlan) add(at int32, i int, value []byte) {
	m := &p.messages[at]
	p.next[m.tail] = int32(i)
	m.tail = int32(i)
	m.count++
	m.bytes += groupedLen(p.group, value)
}

// lenAlone is the payload of a message of one record.
func (p *natsPlan) lenAlone(value []byte) int {
	if p.group == GroupRecordBatch {
		return groupedLen(p.group, value)
	}
	return len(value)
}

// target finds the record's subject.
func (p *natsPlan) target(r *Record) *natsTarget {
	k := natsNameKey{r.Origin, r.Table, r.Type, r.Family, r.Proto}
	if p.last != nil && k == p.lastKey {
		return p.last
	}
	t := p.find(k, r)
	p.last, p.lastKey = t, k
	return t
}

func (p *natsPlan) find(k natsNameKey, r *Record) *natsTarget {
	if t := p.names[k]; t != nil {
		return t
	}
	name := p.subject.expand(templateKeyOf(r))
	t := p.byKey[name]
	if t == nil {
		t = &natsTarget{subject: name}
		p.byKey[name] = t
	}
	p.names[k] = t
	return t
}

// places gives the places of a message's records.
func (p *natsPlan) places(m *natsMessage) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := m.head; i >= 0; i = p.next[i] {
			if !yield(int(i)) {
				return
			}
		}
	}
}

// values gives a message's records.
func (p *natsPlan) values(m *natsMessage, records []Record) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range p.places(m) {
			if !yield(records[i].Value) {
				return
			}
		}
	}
}

func sameRun(a, b *Record) bool { return a.Origin == b.Origin || runOf(a) == runOf(b) }

func runOf(r *Record) (run [16]byte) {
	if r.Origin != nil {
		run = r.Origin.Run
	}
	return run
}
