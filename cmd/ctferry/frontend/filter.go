package frontend

import (
	"fmt"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/source/flow"
)

// term is one term of a filter as it is written: fields and values.
type term map[string]any

func number[T any](t term, field string, o conntrack.Opt[T]) {
	if o.Set {
		t[field] = fmt.Sprint(o.Value)
	}
}

// filter is which entries a line means, nil for all of them. With -U, -t, -m,
// -u and what only a protocol's state has are no part of it: they are the change.
func (f *Front) filter(c *conntrack.Command) (*flow.Filter, error) {
	t := term{}
	tuple(t, c)
	number(t, "id", c.ID)
	number(t, "zone", c.Zone)
	number(t, "orig_zone", c.OrigZone)
	number(t, "reply_zone", c.ReplyZone)
	if len(c.Labels) > 0 {
		var bits []any
		for _, name := range c.Labels {
			bits = append(bits, int(f.Names.labels[name]))
		}
		t["labels"] = bits
	}
	never := false
	if c.Verb != conntrack.VerbUpdate {
		never = values(t, c)
	}
	terms, possible := natTerms(t, c)
	doc := map[string]any{"include": terms}
	switch {
	case never || !possible:
		doc["exclude"] = map[string]any{"mark": "0-4294967295"} // nothing is left
	case len(terms) == 0:
		return nil, nil
	}
	filter, err := flow.ParseFilter(doc)
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	return filter, nil
}

// tuple adds addresses, protocol, ports and ICMP's three.
func tuple(t term, c *conntrack.Command) {
	for field, m := range map[string]conntrack.Masked{"orig_src": c.Src, "orig_dst": c.Dst, "reply_src": {Addr: c.ReplySrc}, "reply_dst": {Addr: c.ReplyDst}} {
		if m.Addr.IsValid() {
			t[field] = addresses(m)
		}
	}
	number(t, "proto", c.Proto)
	fields := [4]string{"sport", "dport", "reply_port_src", "reply_port_dst"}
	if c.Proto.Value == flow.ProtoGRE {
		fields = [4]string{"srckey", "dstkey", "reply_key_src", "reply_key_dst"}
	}
	for i, o := range []conntrack.Opt[uint16]{c.Ports.Src, c.Ports.Dst, c.Ports.ReplySrc, c.Ports.ReplyDst} {
		number(t, fields[i], o)
	}
	number(t, "icmp_type", c.ICMP.Type)
	number(t, "icmp_code", c.ICMP.Code)
	number(t, "icmp_id", c.ICMP.ID)
}

// values adds what -U would change. It reports whether nothing can match: a
// mark with bits outside of its mask never does.
func values(t term, c *conntrack.Command) (never bool) {
	number(t, "timeout", c.Timeout)
	number(t, "orig_vtag", c.SCTP.VTagOrig)
	number(t, "reply_vtag", c.SCTP.VTagReply)
	if c.State.Set {
		t["state"] = stateName(c)
	}
	if st := c.Status; st.Set {
		mask := st.Bits
		if st.Unreplied {
			mask |= flow.StatusSeenReply
		}
		t["status"] = fmt.Sprintf("%#x/%#x", st.Bits, mask)
		if mask == 0 {
			t["status"] = "UNSET"
		}
	}
	m := c.Mark.Value
	switch {
	case !c.Mark.Set || m.Mask == 0 && m.Value == 0:
		return false
	case m.Value&^m.Mask != 0:
		return true
	}
	t["mark"] = fmt.Sprintf("%#x/%#x", m.Value, m.Mask)
	return false
}

func stateName(c *conntrack.Command) string {
	switch c.Proto.Value {
	case flow.ProtoSCTP:
		return flow.SCTPStateName(c.State.Value)
	case flow.ProtoDCCP:
		return flow.DCCPStateName(c.State.Value)
	}
	return flow.TCPStateName(c.State.Value)
}

// natTerms multiplies the term, for -j means either side. A side that cannot
// be, because -r or -q says otherwise, is left out; ok is false if none is left.
func natTerms(t term, c *conntrack.Command) (terms []any, ok bool) {
	src := natSide(c.SrcNAT, "src_nat", "reply_dst", "reply_port_dst")
	dst := natSide(c.DstNAT, "dst_nat", "reply_src", "reply_port_src")
	sides := [][]term{{t, src, dst}}
	switch {
	case c.AnyNAT.Addr.IsValid():
		sides = [][]term{{t, natSide(c.AnyNAT, "src_nat", "reply_dst", "reply_port_dst")},
			{t, natSide(c.AnyNAT, "dst_nat", "reply_src", "reply_port_src")}}
	case c.AnyNAT.Set:
		sides = [][]term{{t, {"any_nat": "true"}}}
	case len(t)+len(src)+len(dst) == 0:
		return nil, true
	}
	for _, parts := range sides {
		if both, ok := join(parts); ok {
			terms = append(terms, map[string]any(both))
		}
	}
	return terms, len(terms) > 0
}

// join gives the term that holds where all of several do; it is false if they
// contradict one another.
func join(parts []term) (term, bool) {
	all := term{}
	for _, part := range parts {
		for field, v := range part {
			if old, taken := all[field]; taken && fmt.Sprint(old) != fmt.Sprint(v) {
				return nil, false
			}
			all[field] = v
		}
	}
	return all, true
}

// natSide is a translation as fields of the filter.
func natSide(n conntrack.NAT, field, addr, port string) term {
	if !n.Set {
		return nil
	}
	side := term{field: "true"}
	if n.Addr.IsValid() {
		side[addr] = addresses(conntrack.Masked{Addr: n.Addr})
	}
	if n.Port.Set {
		side[port] = fmt.Sprint(n.Port.Value)
	}
	return side
}

// addresses is a masked address as a filter writes it: a prefix if it is one.
func addresses(m conntrack.Masked) string {
	if p, ok := m.Prefix(); ok {
		return p.String()
	}
	return m.Addr.String() + "/" + m.Mask.String()
}
