package control

import (
	"encoding/json"
	"math"
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// keyDraft is a key while it is read.
type keyDraft struct {
	family flow.Family
	proto  *uint8
	place  string // orig, reply or tuple
	tuple  json.RawMessage
	zone   uint16
	id     *uint32
}

func keyFields() []field[keyDraft] {
	type d = keyDraft
	type raw = json.RawMessage
	return []field[d]{
		{"family", func(d *d, p string, r raw) error { v, err := readFamily(p, r); return keep(&d.family, v, err) }},
		{"proto", func(d *d, p string, r raw) error { v, err := readProto(p, r); return keepNew(&d.proto, v, err) }},
		{"orig", func(d *d, p string, r raw) error { return d.take("orig", p, r) }},
		{"reply", func(d *d, p string, r raw) error { return d.take("reply", p, r) }},
		{"tuple", func(d *d, p string, r raw) error { return d.take("tuple", p, r) }},
		{"zone", func(d *d, p string, r raw) error {
			v, err := readUint(p, r, math.MaxUint16)
			return keep(&d.zone, uint16(v), err)
		}},
		{"id", func(d *d, p string, r raw) error {
			v, err := readUint(p, r, math.MaxUint32)
			return keepNew(&d.id, uint32(v), err)
		}},
	}
}

// take keeps the one tuple of a key.
func (d *keyDraft) take(place, path string, raw json.RawMessage) error {
	if d.place != "" {
		return invalid(path, "stands beside %s; expected one of orig, reply and tuple", d.place)
	}
	d.place, d.tuple = place, raw
	return nil
}

// readProto reads a protocol's word or number.
func readProto(path string, raw []byte) (uint8, error) {
	if n, err := readUint(path, raw, math.MaxUint8); err == nil {
		return uint8(n), nil
	}
	return readWord(path, raw, flow.ProtoNum, "one of "+strings.Join(flow.ProtoNames(), ", ")+", or a number from 0 to 255")
}

// decodeKey reads {"family", "proto", "orig" or "reply" or (of an expectation)
// "tuple", "zone", "id"}. The tuple is spelt as in a record, and must be whole.
func decodeKey(path string, raw []byte) (Key, error) {
	var d keyDraft
	if err := readObject(&d, path, raw, keyFields()); err != nil {
		return Key{}, err
	}
	if d.place == "" {
		return Key{}, invalid(path, "expected a tuple: orig, reply, or of an expectation tuple")
	}
	t, err := d.decodeTuple(path)
	if err != nil {
		return Key{}, err
	}
	if d.place == "tuple" {
		return Key{Expect: &flow.ExpectKey{Tuple: t, Zone: d.zone, ID: d.id}}, nil
	}
	return Key{Conntrack: &flow.Key{Tuple: t, Reply: d.place == "reply", Zone: d.zone, ID: d.id}}, nil
}

func (d *keyDraft) decodeTuple(path string) (flow.Tuple, error) {
	where := below(path, d.place)
	// A record's original direction stands for any.
	e, err := decodeRecord(path, complete([]member{{"orig", d.tuple}}))
	if e := (*Error)(nil); err != nil && asError(err, &e) {
		e.Field = strings.Replace(e.Field, below(path, "orig"), where, 1)
		return flow.Tuple{}, e
	}
	t := e.Orig
	if d.proto != nil {
		if t.Got(flow.HasProto) && t.Proto != *d.proto {
			return t, invalid(below(path, "proto"), "is %d, and the tuple's is %d", *d.proto, t.Proto)
		}
		t.Proto = *d.proto
		t.Has |= flow.HasProto
	}
	if err := checkTuple(where, &t); err != nil {
		return t, err
	}
	if d.family != 0 && d.family != t.Family {
		return t, invalid(below(path, "family"), "is %s, and the tuple's addresses are %s", d.family, t.Family)
	}
	return t, nil
}

// checkTuple refuses a tuple that names no one flow.
func checkTuple(path string, t *flow.Tuple) error {
	switch {
	case !t.Got(flow.HasAddrs):
		return invalid(path, "expected src and dst")
	case !t.Got(flow.HasProto):
		return invalid(path, "expected the protocol: proto, or proto_num in the tuple")
	}
	switch t.Proto {
	case flow.ProtoTCP, flow.ProtoUDP, flow.ProtoUDPLite, flow.ProtoSCTP, flow.ProtoDCCP:
		if !t.Got(flow.HasPorts) {
			return invalid(path, "expected sport and dport, which %s has", flow.ProtoName(t.Proto))
		}
	case flow.ProtoGRE:
		if !t.Got(flow.HasPorts) {
			return invalid(path, "expected srckey and dstkey, which gre has")
		}
	case flow.ProtoICMP, flow.ProtoICMPv6:
		if !t.Got(flow.HasICMP) {
			return invalid(path, "expected icmp_type, icmp_code and icmp_id, which %s has", flow.ProtoName(t.Proto))
		}
	}
	return nil
}

// appendKey writes what decodeKey reads.
func appendKey(b []byte, k *Key) []byte {
	var t *flow.Tuple
	place, zone, id := "", uint16(0), (*uint32)(nil)
	switch {
	case k.Conntrack != nil:
		t, place, zone, id = &k.Conntrack.Tuple, "orig", k.Conntrack.Zone, k.Conntrack.ID
		if k.Conntrack.Reply {
			place = "reply"
		}
	case k.Expect != nil:
		t, place, zone, id = &k.Expect.Tuple, "tuple", k.Expect.Zone, k.Expect.ID
	default:
		return append(b, "{}"...)
	}
	var w objectWriter
	w.text("family", t.Family.String())
	if name := flow.ProtoName(t.Proto); name != "" && t.Got(flow.HasProto) {
		w.text("proto", name)
	} else if t.Got(flow.HasProto) {
		w.number("proto", uint64(t.Proto))
	}
	w.raw(place, tupleJSON(t))
	w.uint("zone", uint64(zone))
	if id != nil {
		w.number("id", uint64(*id))
	}
	return append(b, w.end()...)
}

// tupleJSON spells a tuple as a record does, but for its protocol.
func tupleJSON(t *flow.Tuple) []byte {
	var w objectWriter
	if t.Got(flow.HasSrc) {
		w.text("src", t.SrcAddr().String())
	}
	if t.Got(flow.HasDst) {
		w.text("dst", t.DstAddr().String())
	}
	sport, dport := "sport", "dport"
	if t.HasKeys() {
		sport, dport = "srckey", "dstkey"
	}
	for _, f := range [...]struct {
		bit  flow.TupleHas
		name string
		n    uint16
	}{
		{flow.HasSrcPort, sport, t.SrcPort}, {flow.HasDstPort, dport, t.DstPort},
		{flow.HasICMPType, "icmp_type", uint16(t.ICMPType)}, {flow.HasICMPCode, "icmp_code", uint16(t.ICMPCode)},
		{flow.HasICMPID, "icmp_id", t.ICMPID}, {flow.HasTupleZone, "zone", t.Zone},
	} {
		if t.Got(f.bit) {
			w.number(f.name, uint64(f.n))
		}
	}
	return w.end()
}
