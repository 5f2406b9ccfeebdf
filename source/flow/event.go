package flow

// Has is the set of the values that an Event carries. A value whose bit is not
// set is left over from an earlier event and must not be read: absent is not
// zero (law 4).
type Has uint64

// The presence bits, in the order of the fields they guard.
const (
	HasOrig           Has = 1 << iota // Event.Orig
	HasReply                          // Event.Reply
	HasStatus                         // Event.Status
	HasTimeout                        // Event.Timeout
	HasMark                           // Event.Mark
	HasZone                           // Event.Zone
	HasUse                            // Event.Use
	HasID                             // Event.ID
	HasFlowID                         // Event.FlowID
	HasOrigCounters                   // Event.OrigCounters
	HasReplyCounters                  // Event.ReplyCounters
	HasOrigDeltas                     // Event.OrigDeltas
	HasReplyDeltas                    // Event.ReplyDeltas
	HasStart                          // Event.Start
	HasStop                           // Event.Stop
	HasReceived                       // Event.Received
	HasLabels                         // Event.Labels
	HasPortID                         // Event.PortID
	HasTCPState                       // Event.TCP.State
	HasTCPWScaleOrig                  // Event.TCP.WScaleOrig
	HasTCPWScaleReply                 // Event.TCP.WScaleReply
	HasTCPFlagsOrig                   // Event.TCP.FlagsOrig
	HasTCPFlagsReply                  // Event.TCP.FlagsReply
	HasSCTPState                      // Event.SCTP.State
	HasSCTPVTagOrig                   // Event.SCTP.VTagOrig
	HasSCTPVTagReply                  // Event.SCTP.VTagReply
	HasDCCPState                      // Event.DCCP.State
	HasDCCPRole                       // Event.DCCP.Role
	HasDCCPSeq                        // Event.DCCP.HandshakeSeq
	HasHelper                         // Event.Extra.Helper
	HasSecCtx                         // Event.Extra.SecCtx
	HasMaster                         // Event.Extra.Master
	HasMasterFlowID                   // Event.Extra.MasterFlowID
	HasOrigSeqAdj                     // Event.Extra.OrigSeqAdj
	HasReplySeqAdj                    // Event.Extra.ReplySeqAdj
	HasSynProxy                       // Event.Extra.SynProxy
	HasProgName                       // Event.Extra.ProgName
	HasLabelNames                     // Event.Extra.LabelNames
	HasExpect                         // Event.Extra.Expect
	HasInterval                       // Event.Interval
	HasSince                          // Event.Since
	HasUntil                          // Event.Until
	HasSynthetic                      // Event.Synthetic
	HasNAT                            // Event.Extra.NAT
	HasTold                           // Event.Extra.Told
)

// HasBounds are both bounds of a synthetic record; only a projection parts them.
const HasBounds = HasSince | HasUntil

// Event is one record: a change of a flow or of an expectation, a row of a
// dump, or word of the agent itself (a gap, a status). It is a slot of a Batch.
//
// All integers are in host byte order; addresses are in network byte order.
// Times are nanoseconds since the Unix epoch.
type Event struct {
	Has    Has
	Type   Type
	Table  Table
	Family Family // AF_INET or AF_INET6; 0 for gap and status records
	Proto  uint8  // IP protocol number; valid with HasOrig

	TimeSource TimeSource
	Synthetic  bool // inferred after a loss, never seen

	Zone    uint16 // CTA_ZONE; only sent when it is not 0
	Status  uint32 // CTA_STATUS, enum ip_conntrack_status
	Timeout uint32 // CTA_TIMEOUT, seconds
	Mark    uint32 // CTA_MARK
	Use     uint32 // CTA_USE, reference count
	ID      uint32 // CTA_ID, opaque
	PortID  uint32 // nlmsg_pid: netlink port of the process that made the change; absent when a packet or a timer did

	Orig, Reply                 Tuple
	OrigCounters, ReplyCounters Counters // totals since creation or since the last zeroing dump
	OrigDeltas, ReplyDeltas     Counters // since the last interim record

	TCP  TCP
	SCTP SCTP
	DCCP DCCP

	Labels [16]byte // CTA_LABELS as the kernel sends it: bit n is byte n/8, bit n%8

	Seq      uint64 // position in this process's run, over all sockets
	FlowID   uint64 // see ComputeFlowID
	Time     int64  // when it happened, as TimeSource says
	Received int64  // when it was read; present when Time is not that
	Start    int64  // CTA_TIMESTAMP_START
	Stop     int64  // CTA_TIMESTAMP_STOP
	Interval int64  // span of the deltas, ns
	Since    int64  // bounds of a synthetic record
	Until    int64

	Origin *Origin   // where it was read; never nil in a stamped event
	Dump   *DumpInfo // the dump that the row belongs to, else nil
	Extra  *Extra    // rare values, guarded by Has; else nil
	Gap    *Gap      // a gap record's content, else nil
	Agent  *Agent    // a status record's content, else nil
}

// Counters is one direction's traffic, as layer 3 sees it.
type Counters struct {
	Packets, Bytes uint64
}

// Got reports whether all of bits are present.
func (e *Event) Got(bits Has) bool { return e.Has&bits == bits }

// Any reports whether at least one of bits is present.
func (e *Event) Any(bits Has) bool { return e.Has&bits != 0 }

// Reset makes the slot empty. The guarded values stay as they were.
func (e *Event) Reset() {
	e.Has, e.Type, e.Table, e.Family, e.Proto = 0, 0, 0, 0, 0
	e.TimeSource, e.Synthetic = 0, false
	e.Orig.Has, e.Reply.Has = 0, 0
	e.Seq, e.Time = 0, 0
	e.Origin, e.Dump, e.Extra, e.Gap, e.Agent = nil, nil, nil, nil, nil
}
