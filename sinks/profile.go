package sinks

import "github.com/ctferry/ctferry/source/flow"

// Profiles are the named sets of defaults for a sink, each with a function that
// lays it over a configuration at its defaults. Every key that it sets may be
// set otherwise.
func Profiles() map[string]func(*Config) {
	return map[string]func(*Config){"cgnat": cgnat}
}

// cgnat is the log of address translations that carriers keep: translated flows
// alone, their beginnings and ends, with the inside and the outside address and
// port, the times and, at the end, packets and bytes (RFC 6888, section 4). The other
// end is left out, and with it boot_id. id stays out too: with both of them the flow
// id, a hash, would let one find the other end by trying.
func cgnat(c *Config) {
	c.Profile = "cgnat"
	c.Events = []Event{Event(flow.TypeNew), Event(flow.TypeDestroy)}
	translated := []flow.Range{{Lo: uint32(flow.NATSource), Hi: uint32(flow.NATBoth)}}
	c.Filter = &flow.Filter{Include: []flow.Term{{{Field: flow.FieldNAT, Ranges: translated}}}} // nat: any
	c.OmitDestination = true
	c.Fields = []string{
		"time_source", "netns", "meta", "flow_id", "proto", "proto_num", "zone",
		"orig.src", "orig.sport", "orig.dst", "orig.dport", "orig.icmp_id", "orig.srckey", "orig.dstkey", "orig.zone", "orig.packets", "orig.bytes",
		"reply.icmp_id", "reply.zone", "reply.packets", "reply.bytes",
		"nat.type", "nat.src", "nat.sport", "nat.dst", "nat.dport", "nat.ipfix_event",
		"start", "stop", "synthetic", "since", "until",
	}
	if k, ok := c.Options.(*KafkaOptions); ok {
		k.Key = kafkaKeyInside
	}
}
