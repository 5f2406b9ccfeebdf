package control

import (
	"encoding/json"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// decodeEntry reads an entry: a record, of which schema, event_type, table and
// the reply direction may be left out, and beside its members src_nat and
// dst_nat.
func decodeEntry(path string, raw []byte) (Entry, error) {
	var n Entry
	list, err := members(path, raw)
	if err != nil {
		return n, err
	}
	record := make([]member, 0, len(list)+3)
	for _, m := range list {
		switch m.name {
		case "src_nat":
			n.SrcNAT, err = decodeNAT(below(path, m.name), m.raw)
		case "dst_nat":
			n.DstNAT, err = decodeNAT(below(path, m.name), m.raw)
		case "proto":
			err = checkProto(below(path, m.name), m.raw, list)
			record = append(record, m)
		default:
			record = append(record, m)
		}
		if err != nil {
			return n, err
		}
	}
	n.Event, err = decodeRecord(path, complete(record))
	if err == nil {
		err = finishEntry(path, n.Event)
	}
	if err == nil {
		n.restoreNAT()
	}
	return n, err
}

// restoreNAT asks for the translation that a listed row had. A reply that is
// translated already makes an entry whose packets are not: the kernel sets NAT
// up only where it changes the reply itself.
func (n *Entry) restoreNAT() {
	e := n.Event
	if n.SrcNAT != nil || n.DstNAT != nil || !e.Got(flow.HasStatus) || e.Table == flow.TableExpect {
		return
	}
	kind := e.NATKind()
	source := kind&flow.NATSource != 0 && e.Status&flow.StatusSrcNAT != 0
	dest := kind&flow.NATDest != 0 && e.Status&flow.StatusDstNAT != 0
	plain, ok := e.Orig.Inverse()
	if !ok || !source && !dest {
		return
	}
	r := e.Reply
	if source {
		n.SrcNAT = &flow.NATRange{Min: r.DstAddr(), MinPort: r.DstPort}
		if r.Got(flow.HasICMPID) {
			n.SrcNAT.MinPort = r.ICMPID
		} else if !r.Got(flow.HasDstPort) {
			n.SrcNAT.MinPort = 0
		}
		e.Reply.Dst, e.Reply.DstPort, e.Reply.ICMPID = plain.Dst, plain.DstPort, plain.ICMPID
	}
	if dest {
		n.DstNAT = &flow.NATRange{Min: r.SrcAddr()}
		if r.Got(flow.HasSrcPort) {
			n.DstNAT.MinPort = r.SrcPort
		}
		e.Reply.Src, e.Reply.SrcPort = plain.Src, plain.SrcPort
	}
}

// checkProto refuses a word that the decoder would pass over, unless the number
// stands beside it.
func checkProto(path string, raw []byte, list []member) error {
	if slices.ContainsFunc(list, func(m member) bool { return m.name == "proto_num" }) {
		return nil
	}
	_, err := readWord(path, raw, flow.ProtoNum, "one of "+strings.Join(flow.ProtoNames(), ", ")+", or proto_num in its place")
	return err
}

// complete gives a record what every record has.
func complete(record []member) []member {
	expects, named := false, map[string]bool{}
	for _, m := range record {
		named[m.name] = true
		expects = expects || m.name == "expect"
	}
	table := string(TableConntrack)
	if expects {
		table = string(TableExpect)
	}
	for _, d := range [...]struct{ name, value string }{
		{"schema", encode.Schema}, {"event_type", flow.TypeNew.String()}, {"table", table},
	} {
		if !named[d.name] {
			record = append(record, member{d.name, quote(d.value)})
		}
	}
	return record
}

// decodeRecord reads the members as a record.
func decodeRecord(path string, list []member) (*flow.Event, error) {
	var w objectWriter
	for _, m := range list {
		w.raw(m.name, m.raw)
	}
	b := flow.NewBatch(1)
	if err := encode.NewStrictJSONDecoder().Decode(b, w.end()); err != nil {
		return nil, recordError(path, err)
	}
	return &b.Events()[0], nil
}

// recordError turns a decoder's error, "field: what", into ours.
func recordError(path string, err error) error {
	name, what, found := strings.Cut(err.Error(), ": ")
	if !found {
		return invalid(path, "%s", name)
	}
	return invalid(below(path, name), "%s", strings.Replace(what, ", want ", ", expected ", 1))
}

// finishEntry fills in what follows from the rest, and refuses what would be
// passed over without a word.
func finishEntry(path string, e *flow.Event) error {
	if e.Any(flow.HasLabelNames) && !e.Any(flow.HasLabels) {
		return invalid(below(path, "ct_labels"), "names alone set no label; expected ct_labels_raw")
	}
	if e.Table == flow.TableExpect {
		finishExpect(e)
		return nil
	}
	if e.Any(flow.HasOrig) && !e.Any(flow.HasReply) {
		reply, ok := e.Orig.Inverse()
		if !ok {
			return invalid(below(path, "reply"), "expected one: ICMP type %d has no answer of its own", e.Orig.ICMPType)
		}
		e.Reply = reply
		e.Has |= flow.HasReply
	}
	return nil
}

// finishExpect gives the tuples of an expectation the protocol of the record,
// where they have none of their own.
func finishExpect(e *flow.Event) {
	if e.Extra == nil || !e.Any(flow.HasExpect) {
		return
	}
	x := &e.Extra.Expect
	if !x.Tuple.Got(flow.HasProto) && e.Orig.Got(flow.HasProto) {
		x.Tuple.Proto = e.Orig.Proto
		x.Tuple.Has |= flow.HasProto
	}
	for _, t := range []*flow.Tuple{&x.Mask, &x.Master} {
		if !t.Got(flow.HasProto) && x.Tuple.Got(flow.HasProto) {
			t.Proto = x.Tuple.Proto
			t.Has |= flow.HasProto
		}
	}
}

// decodeNAT reads {"addr": "a" or "a-b", "port": n or "n-m"}.
func decodeNAT(path string, raw []byte) (*flow.NATRange, error) {
	n := &flow.NATRange{}
	err := readObject(n, path, raw, []field[flow.NATRange]{{"addr", natAddr}, {"port", natPort}})
	if err == nil && *n == (flow.NATRange{}) {
		err = invalid(path, "expected addr, port or both")
	}
	return n, err
}

func natAddr(n *flow.NATRange, path string, raw json.RawMessage) error {
	s, err := readText(path, raw, 100)
	if err != nil {
		return err
	}
	from, to, ranged := strings.Cut(s, "-")
	n.Min, err = netip.ParseAddr(from)
	if err == nil && ranged {
		n.Max, err = netip.ParseAddr(to)
	}
	if err != nil || n.Min.Zone() != "" || ranged && (n.Max.Zone() != "" || n.Max.Is4() != n.Min.Is4() || n.Max.Less(n.Min)) {
		return wanted(path, "an address or a range such as 192.0.2.1-192.0.2.9", raw)
	}
	return nil
}

func natPort(n *flow.NATRange, path string, raw json.RawMessage) error {
	if v, err := readUint(path, raw, math.MaxUint16); err == nil && v != 0 {
		n.MinPort = uint16(v)
		return nil
	}
	s, _ := readText(path, raw, 20)
	from, to, ranged := strings.Cut(s, "-")
	lo, err1 := strconv.ParseUint(from, 10, 16)
	hi, err2 := strconv.ParseUint(to, 10, 16)
	if !ranged || err1 != nil || err2 != nil || lo == 0 || hi < lo {
		return wanted(path, `a port from 1 to 65535 or a range such as "1024-2047"`, raw)
	}
	n.MinPort, n.MaxPort = uint16(lo), uint16(hi)
	return nil
}

// named gives an event the type and table that every record has.
func named(e flow.Event) *flow.Event {
	if e.Type == flow.TypeUnspecified {
		e.Type = flow.TypeNew
	}
	if e.Table == flow.TableUnspecified {
		e.Table = flow.TableConntrack
	}
	return &e
}

// appendEntry writes what decodeEntry reads.
func appendEntry(b []byte, enc encode.Encoder, n *Entry) []byte {
	w := objectWriter{}
	record, err := members("", enc.Append(nil, named(*n.Event)))
	if err != nil {
		return append(b, "null"...) // the encoder wrote no JSON: the reader refuses it
	}
	for _, m := range record {
		if !slices.Contains(identity(), m.name) {
			w.raw(m.name, m.raw)
		}
	}
	if n.SrcNAT != nil {
		w.raw("src_nat", appendNAT(n.SrcNAT))
	}
	if n.DstNAT != nil {
		w.raw("dst_nat", appendNAT(n.DstNAT))
	}
	return append(b, w.end()...)
}

// identity are the members of a record that say who read it and when, which
// means nothing of an entry that is to be made.
func identity() []string {
	return []string{"schema", "event_type", "table", "time", "time_source", "received", "node", "boot_id", "run", "seq"}
}

func appendNAT(n *flow.NATRange) []byte {
	var w objectWriter
	if n.Min.IsValid() {
		s := n.Min.String()
		if n.Max.IsValid() && n.Max != n.Min {
			s += "-" + n.Max.String()
		}
		w.text("addr", s)
	}
	if n.MaxPort > n.MinPort {
		w.text("port", strconv.Itoa(int(n.MinPort))+"-"+strconv.Itoa(int(n.MaxPort)))
	} else {
		w.uint("port", uint64(n.MinPort))
	}
	return w.end()
}
