package encode

import (
	"encoding/xml"
	"strings"
)

// child reads one element below the root.
func (x *xmlDecoder) child(start xml.StartElement) error {
	switch name := start.Name.Local; name {
	case "tag":
		text, err := x.text()
		if err == nil {
			err = within("meta", x.draft.addMeta(attr(start, "key"), text))
		}
		return err
	case "meta":
		return x.meta(start)
	case "helper":
		return x.leaf(recordMembers, name)
	case "tcp", "sctp", "dccp", "synproxy", "nat":
		return x.object(recordMembers, name, start)
	case "seqadj":
		return x.each(x.seqAdj)
	case "master":
		x.enter(recordMembers, name)
		return within(name, x.each(x.tuple))
	case "layer3", "layer4":
		x.enter(recordMembers, "expect")
		return within("expect", x.each(x.expectPart))
	case "loss":
		return x.object(recordMembers, "gap", start)
	case "agent":
		return x.agent(start)
	}
	return x.skip()
}

// meta reads one of conntrack's meta elements.
func (x *xmlDecoder) meta(start xml.StartElement) error {
	switch attr(start, "direction") {
	case "original":
		x.enter(recordMembers, "orig")
		return within("orig", x.each(x.tuple))
	case "reply":
		x.enter(recordMembers, "reply")
		return within("reply", x.each(x.tuple))
	case "independent":
		return x.each(x.independent)
	case "":
		x.enter(recordMembers, "expect")
		return within("expect", x.each(x.expectMeta))
	}
	return x.skip()
}

// tuple reads a part of the tuple entered.
func (x *xmlDecoder) tuple(start xml.StartElement) error {
	switch start.Name.Local {
	case "layer3":
		return x.each(x.tupleLeaf)
	case "layer4":
		return x.layer4(start)
	case "counters":
		return x.each(x.tupleLeaf)
	case "deltas":
		return x.each(func(start xml.StartElement) error {
			return x.leaf(tupleMembers, start.Name.Local+"_delta")
		})
	case "zone":
		return x.tupleLeaf(start)
	}
	return x.skip()
}

// layer4 reads the second layer of the tuple entered, with its protocol.
func (x *xmlDecoder) layer4(start xml.StartElement) error {
	if num := attr(start, "protonum"); num != "" {
		if err := x.keep(tupleMembers, "proto_num", num); err != nil {
			return err
		}
	}
	return x.each(x.tupleLeaf)
}

// tupleLeaf reads one value of the tuple entered.
func (x *xmlDecoder) tupleLeaf(start xml.StartElement) error {
	switch name := start.Name.Local; name {
	case "srckey", "dstkey":
		text, err := x.text()
		if err != nil {
			return err
		}
		return x.keep(tupleMembers, name, decimalKey(text))
	default:
		return x.leaf(tupleMembers, name)
	}
}

// decimalKey turns a GRE key, which conntrack writes in hexadecimal, into what
// the other numbers look like; what is none it leaves as it is.
func decimalKey(text string) string {
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok || len(digits) == 0 || len(digits) > 4 {
		return text
	}
	var v uint64
	for _, c := range []byte(digits) {
		n := strings.IndexByte(hexDigits, c|0x20)
		if n < 0 {
			return text
		}
		v = v<<4 | uint64(n)
	}
	return string(appendUint(nil, v))
}

// independent reads one value that holds in both directions.
func (x *xmlDecoder) independent(start xml.StartElement) error {
	switch name := start.Name.Local; name {
	case "timeout", "mark", "secctx", "zone", "use", "id":
		return x.leaf(recordMembers, name)
	case "status":
		if err := x.raw(recordMembers, "status_raw", start); err != nil {
			return err
		}
		return x.leaf(recordMembers, name)
	case "timestamp":
		return x.each(x.timestamp)
	case "labels":
		if err := x.raw(recordMembers, "ct_labels_raw", start); err != nil {
			return err
		}
		return x.each(func(start xml.StartElement) error {
			if start.Name.Local != "label" {
				return x.skip()
			}
			return x.leaf(recordMembers, "ct_labels")
		})
	}
	return x.skip()
}

// raw keeps an element's attribute raw, where it has one, under the given name.
func (x *xmlDecoder) raw(members []member, name string, start xml.StartElement) error {
	if raw := attr(start, "raw"); raw != "" {
		return x.keep(members, name, raw)
	}
	return nil
}

// timestamp reads one of the flow's times, in ns since the epoch.
func (x *xmlDecoder) timestamp(start xml.StartElement) error {
	name := start.Name.Local
	text, err := x.text()
	if err != nil || name != "start" && name != "stop" {
		return err
	}
	number := member{kind: kindInt64}
	v, err := number.parseNumber(text)
	if err != nil {
		return within(name, err)
	}
	return within(name, byName(recordMembers, name).keep(&x.draft, &v))
}

// seqAdj reads the adjustment of one direction.
func (x *xmlDecoder) seqAdj(start xml.StartElement) error {
	switch name := start.Name.Local; name {
	case "orig", "reply":
		return within("seqadj", x.object(seqAdjPairMembers, name, start))
	}
	return x.skip()
}

// expectPart reads one layer of one of an expectation's tuples.
func (x *xmlDecoder) expectPart(start xml.StartElement) error {
	switch name := start.Name.Local; name {
	case "expected":
		x.enter(expectMembers, "tuple")
		return within("tuple", x.layer4(start))
	case "mask", "master":
		x.enter(expectMembers, name)
		return within(name, x.layer4(start))
	case "nat":
		x.enter(expectMembers, name)
		x.enter(expectNATMembers, "tuple")
		if dir := attr(start, "direction"); dir != "" {
			if err := x.keep(expectNATMembers, "dir", dir); err != nil {
				return within(name, err)
			}
		}
		return within(name, x.layer4(start))
	}
	return x.skip()
}

// expectMeta reads one of an expectation's other values.
func (x *xmlDecoder) expectMeta(start xml.StartElement) error {
	switch name := start.Name.Local; name {
	case "helper-name":
		return x.leaf(expectMembers, "helper")
	case "timeout", "class", "zone", "id", "fn":
		return x.leaf(expectMembers, name)
	case "flags":
		if err := x.raw(expectMembers, "flags_raw", start); err != nil {
			return err
		}
		return x.leaf(expectMembers, name)
	}
	return x.skip()
}

// agent reads the agent's state and books.
func (x *xmlDecoder) agent(start xml.StartElement) error {
	members := x.enter(recordMembers, "agent")
	if err := x.attrs(members, start); err != nil {
		return within("agent", err)
	}
	return within("agent", x.each(func(start xml.StartElement) error {
		switch name := start.Name.Local; name {
		case "clock":
			return x.object(members, name, start)
		case "table":
			return x.object(members, "tables", start)
		case "socket":
			if err := x.attrs(x.enter(members, "sockets"), start); err != nil {
				return within(name, err)
			}
			return within(name, x.each(x.track))
		case "sink":
			if err := x.attrs(x.enter(members, name), start); err != nil {
				return within(name, err)
			}
			return within(name, x.each(x.tally))
		case "warning":
			return x.leaf(members, "warnings")
		}
		return x.skip()
	}))
}

// track reads the account of a socket's tracked flows.
func (x *xmlDecoder) track(start xml.StartElement) error {
	if start.Name.Local == "track" {
		return x.object(socketMembers, "track", start)
	}
	return x.skip()
}

// tally reads one of a sink's counts by reason.
func (x *xmlDecoder) tally(start xml.StartElement) error {
	switch name := start.Name.Local; name {
	case "dropped":
		return x.object(sinkMembers, name, start)
	case "error":
		return x.object(sinkMembers, "errors", start)
	}
	return x.skip()
}
