package flow

// Field is what a predicate looks at. The order of the constants is the order
// in which a term's predicates are tried: cheap ones first.
//
// On an expectation (table expect) the orig_* fields, sport and dport speak of
// the master flow, the tuple_* and mask_* fields of what is expected, and
// proto, zone, helper, id and timeout of the expectation itself.
//
// What of them the kernel compares instead, before an event is queued, is
// ctnetlink.CompileFilter's to say.
type Field uint8

// The fields, under the name that a filter spells.
const (
	FieldNone         Field = iota
	FieldEventType          // event_type
	FieldTable              // table
	FieldFamily             // family
	FieldProto              // proto
	FieldZone               // zone; absent compares as 0
	FieldMark               // mark; absent compares as 0
	FieldStatus             // status
	FieldState              // state: of TCP, SCTP or DCCP
	FieldID                 // id: CTA_ID, CTA_EXPECT_ID
	FieldTimeout            // timeout, seconds
	FieldRole               // role: of DCCP
	FieldOrigVTag           // orig_vtag: of SCTP
	FieldReplyVTag          // reply_vtag
	FieldOrigZone           // orig_zone: of the original tuple alone; absent compares as 0
	FieldReplyZone          // reply_zone
	FieldSrcPort            // sport, orig_port_src
	FieldDstPort            // dport, orig_port_dst
	FieldReplySrcPort       // reply_port_src
	FieldReplyDstPort       // reply_port_dst
	FieldSrcKey             // srckey, orig_key_src: of GRE
	FieldDstKey             // dstkey, orig_key_dst
	FieldReplySrcKey        // reply_key_src
	FieldReplyDstKey        // reply_key_dst
	FieldICMPType           // icmp_type: of ICMP and ICMPv6, original direction
	FieldICMPCode           // icmp_code
	FieldICMPID             // icmp_id
	FieldOrigSrc            // orig_src, src
	FieldOrigDst            // orig_dst, dst
	FieldReplySrc           // reply_src
	FieldReplyDst           // reply_dst
	FieldSrcNAT             // src_nat: the source is translated
	FieldDstNAT             // dst_nat
	FieldAnyNAT             // any_nat
	FieldNAT                // nat: snat, dnat, both, any or none
	FieldPort               // port: either side, either direction
	FieldAddr               // addr: either side, either direction
	FieldClass              // class: of an expectation
	FieldTupleSrc           // tuple_src: what is expected
	FieldTupleDst           // tuple_dst
	FieldTupleSrcPort       // tuple_port_src
	FieldTupleDstPort       // tuple_port_dst
	FieldMaskSrc            // mask_src
	FieldMaskDst            // mask_dst
	FieldMaskSrcPort        // mask_port_src
	FieldMaskDstPort        // mask_port_dst
	FieldLabel              // label: bit number or name, one of them
	FieldLabels             // labels: all of them
	FieldNetNS              // netns: configured name, "" for the service's own
	FieldHelper             // helper
	FieldSecCtx             // secctx
	fieldCount
)

// String gives the name that a filter spells, or "".
func (f Field) String() string {
	if f < fieldCount {
		return fields[f].name
	}
	return ""
}

// ParseField finds a field by its name or by its alias.
func ParseField(name string) (Field, bool) {
	for f := FieldNone + 1; f < fieldCount; f++ {
		if fields[f].name == name || name != "" && fields[f].alias == name {
			return f, true
		}
	}
	return FieldNone, false
}

// FieldNames lists the names of all fields, aliases behind theirs.
func FieldNames() []string {
	var names []string
	for f := FieldNone + 1; f < fieldCount; f++ {
		names = append(names, fields[f].name)
		if fields[f].alias != "" {
			names = append(names, fields[f].alias)
		}
	}
	return names
}
