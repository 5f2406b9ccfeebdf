package flow

// kind is how a field's values are written and compared.
type kind uint8

const (
	kindNumber kind = iota + 1 // numbers and ranges, and words where the field has some
	kindWord                   // words only, each a number
	kindBool                   // true 1, false 0
	kindNAT                    // words, each a set of NATKind
	kindMark                   // numbers, ranges, value/mask
	kindStatus                 // words, all of which must hold
	kindState                  // words of several protocols
	kindAddr                   // addresses, prefixes, ranges, address/mask
	kindLabel                  // bit numbers and names
	kindLabels                 // the same, all of which must hold
	kindText                   // exact strings
)

// side is one of an event's tuples, as Event.side finds it.
type side uint8

const (
	sideNone side = iota
	sideOrig
	sideReply
	sideTuple // an expectation's
	sideMask  // an expectation's
)

// protoSet is a set of the protocols that have names, bit n standing for
// namedProtos[n], and of all others together.
type protoSet uint16

var namedProtos = [...]uint8{ProtoTCP, ProtoUDP, ProtoUDPLite, ProtoSCTP, ProtoDCCP, ProtoICMP, ProtoICMPv6, ProtoGRE}

const (
	protoTCP protoSet = 1 << iota
	_
	_
	protoSCTP
	protoDCCP
	protoICMP
	protoICMPv6
	protoGRE
	protoOther

	protoAll     = protoOther<<1 - 1
	protosPorts  = protoDCCP<<1 - 1
	protosICMP   = protoICMP | protoICMPv6
	protosStates = protoTCP | protoSCTP | protoDCCP
)

// fieldInfo is what the parser, the printer and Match know of a field.
type fieldInfo struct {
	name, alias string
	kind        kind
	max         uint32   // highest number
	bits        TupleHas // what of the tuple is read
	side        side
	table       Table    // the only table that has it, if not both
	protos      protoSet // the only protocols that have it, if not all
}

const (
	maxU8, maxU16, maxU32 = 1<<8 - 1, 1<<16 - 1, 1<<32 - 1
	maxLabel              = 127
	ct, exp               = TableConntrack, TableExpect
)

var fields = [fieldCount]fieldInfo{
	FieldEventType:    {name: "event_type", kind: kindWord},
	FieldTable:        {name: "table", kind: kindWord},
	FieldFamily:       {name: "family", kind: kindWord},
	FieldProto:        {name: "proto", kind: kindNumber, max: maxU8},
	FieldZone:         {name: "zone", kind: kindNumber, max: maxU16},
	FieldMark:         {name: "mark", kind: kindMark, max: maxU32},
	FieldStatus:       {name: "status", kind: kindStatus, max: maxU32, table: ct},
	FieldState:        {name: "state", kind: kindState, table: ct, protos: protosStates},
	FieldID:           {name: "id", kind: kindNumber, max: maxU32},
	FieldTimeout:      {name: "timeout", kind: kindNumber, max: maxU32},
	FieldRole:         {name: "role", kind: kindWord, table: ct, protos: protoDCCP},
	FieldOrigVTag:     {name: "orig_vtag", kind: kindNumber, max: maxU32, table: ct, protos: protoSCTP},
	FieldReplyVTag:    {name: "reply_vtag", kind: kindNumber, max: maxU32, table: ct, protos: protoSCTP},
	FieldOrigZone:     {name: "orig_zone", kind: kindNumber, max: maxU16, side: sideOrig, bits: HasTupleZone},
	FieldReplyZone:    {name: "reply_zone", kind: kindNumber, max: maxU16, side: sideReply, bits: HasTupleZone},
	FieldSrcPort:      port("sport", "orig_port_src", sideOrig, HasSrcPort, 0),
	FieldDstPort:      port("dport", "orig_port_dst", sideOrig, HasDstPort, 0),
	FieldReplySrcPort: port("reply_port_src", "", sideReply, HasSrcPort, ct),
	FieldReplyDstPort: port("reply_port_dst", "", sideReply, HasDstPort, ct),
	FieldSrcKey:       key("srckey", "orig_key_src", sideOrig, HasSrcPort, 0),
	FieldDstKey:       key("dstkey", "orig_key_dst", sideOrig, HasDstPort, 0),
	FieldReplySrcKey:  key("reply_key_src", "", sideReply, HasSrcPort, ct),
	FieldReplyDstKey:  key("reply_key_dst", "", sideReply, HasDstPort, ct),
	FieldICMPType:     {name: "icmp_type", kind: kindNumber, max: maxU8, side: sideOrig, bits: HasICMPType, protos: protosICMP},
	FieldICMPCode:     {name: "icmp_code", kind: kindNumber, max: maxU8, side: sideOrig, bits: HasICMPCode, protos: protosICMP},
	FieldICMPID:       {name: "icmp_id", kind: kindNumber, max: maxU16, side: sideOrig, bits: HasICMPID, protos: protosICMP},
	FieldOrigSrc:      {name: "orig_src", alias: "src", kind: kindAddr, side: sideOrig, bits: HasSrc},
	FieldOrigDst:      {name: "orig_dst", alias: "dst", kind: kindAddr, side: sideOrig, bits: HasDst},
	FieldReplySrc:     {name: "reply_src", kind: kindAddr, side: sideReply, bits: HasSrc, table: ct},
	FieldReplyDst:     {name: "reply_dst", kind: kindAddr, side: sideReply, bits: HasDst, table: ct},
	FieldSrcNAT:       {name: "src_nat", kind: kindBool, table: ct},
	FieldDstNAT:       {name: "dst_nat", kind: kindBool, table: ct},
	FieldAnyNAT:       {name: "any_nat", kind: kindBool, table: ct},
	FieldNAT:          {name: "nat", kind: kindNAT, table: ct},
	FieldPort:         port("port", "", sideNone, 0, 0),
	FieldAddr:         {name: "addr", kind: kindAddr},
	FieldClass:        {name: "class", kind: kindNumber, max: maxU32, table: exp},
	FieldTupleSrc:     {name: "tuple_src", kind: kindAddr, side: sideTuple, bits: HasSrc, table: exp},
	FieldTupleDst:     {name: "tuple_dst", kind: kindAddr, side: sideTuple, bits: HasDst, table: exp},
	FieldTupleSrcPort: port("tuple_port_src", "", sideTuple, HasSrcPort, exp),
	FieldTupleDstPort: port("tuple_port_dst", "", sideTuple, HasDstPort, exp),
	FieldMaskSrc:      {name: "mask_src", kind: kindAddr, side: sideMask, bits: HasSrc, table: exp},
	FieldMaskDst:      {name: "mask_dst", kind: kindAddr, side: sideMask, bits: HasDst, table: exp},
	FieldMaskSrcPort:  port("mask_port_src", "", sideMask, HasSrcPort, exp),
	FieldMaskDstPort:  port("mask_port_dst", "", sideMask, HasDstPort, exp),
	FieldLabel:        {name: "label", kind: kindLabel, max: maxLabel, table: ct},
	FieldLabels:       {name: "labels", kind: kindLabels, max: maxLabel, table: ct},
	FieldNetNS:        {name: "netns", kind: kindText},
	FieldHelper:       {name: "helper", kind: kindText},
	FieldSecCtx:       {name: "secctx", kind: kindText, table: ct},
}

func port(name, alias string, s side, bits TupleHas, t Table) fieldInfo {
	return fieldInfo{name: name, alias: alias, kind: kindNumber, max: maxU16, side: s, bits: bits, table: t, protos: protosPorts}
}

// key is a GRE key, which travels in a port's place.
func key(name, alias string, s side, bits TupleHas, t Table) fieldInfo {
	return fieldInfo{name: name, alias: alias, kind: kindNumber, max: maxU16, side: s, bits: bits, table: t, protos: protoGRE}
}
