package flow

// Extra holds what few events carry. Every value is guarded by the event's
// presence bits. Strings are interned by the reader and may be kept.
type Extra struct {
	Helper       string // CTA_HELP_NAME
	SecCtx       string // CTA_SECCTX_NAME
	ProgName     string // command name of the process behind Event.PortID
	LabelNames   []string
	Master       Tuple // CTA_TUPLE_MASTER
	MasterFlowID uint64
	OrigSeqAdj   SeqAdj // CTA_SEQ_ADJ_ORIG
	ReplySeqAdj  SeqAdj // CTA_SEQ_ADJ_REPLY
	SynProxy     SynProxy
	Expect       Expectation
	NAT          ToldNAT // of a record that no longer has the tuples to derive it from; only decoders set it
	Told         Told    // the same of other derived values
}

func (x *Extra) reset() {
	x.Master.Has = 0
	x.Expect.reset()
}

// SeqAdj is a TCP sequence adjustment of one direction (CTA_SEQADJ_*).
type SeqAdj struct {
	CorrectionPos, OffsetBefore, OffsetAfter uint32
}

// SynProxy is what CTA_SYNPROXY tells.
type SynProxy struct {
	ISN, ITS, TSOff uint32
}

// ExpectHas is the set of the values that an Expectation carries.
type ExpectHas uint16

// The presence bits of an expectation.
const (
	HasExpectID ExpectHas = 1 << iota
	HasExpectTuple
	HasExpectMask
	HasExpectMaster
	HasExpectTimeout
	HasExpectHelper
	HasExpectClass
	HasExpectFlags
	HasExpectZone
	HasExpectNAT
	HasExpectFn
)

// Expectation is an entry of the expect table (CTA_EXPECT_*).
type Expectation struct {
	Has     ExpectHas
	NATDir  uint8 // CTA_EXPECT_NAT_DIR: 0 original, 1 reply
	Zone    uint16
	ID      uint32
	Timeout uint32 // seconds
	Class   uint32
	Flags   uint32 // NF_CT_EXPECT_*
	Helper  string // CTA_EXPECT_HELP_NAME
	Fn      string // CTA_EXPECT_FN
	Tuple   Tuple
	Mask    Tuple
	Master  Tuple
	NAT     Tuple // CTA_EXPECT_NAT_TUPLE
}

// Got reports whether all of bits are present.
func (x *Expectation) Got(bits ExpectHas) bool { return x.Has&bits == bits }

func (x *Expectation) reset() {
	x.Has = 0
	x.Tuple.Has, x.Mask.Has, x.Master.Has, x.NAT.Has = 0, 0, 0, 0
}

// The flags of an expectation (NF_CT_EXPECT_*).
const (
	ExpectPermanent uint32 = 1 << iota
	ExpectInactive
	ExpectUserspace
)

var expectFlagNames = [...]string{"PERMANENT", "INACTIVE", "USERSPACE"}

// ExpectFlagName is the word for bit number n of an expectation's flags, or "".
func ExpectFlagName(n int) string {
	if n >= 0 && n < len(expectFlagNames) {
		return expectFlagNames[n]
	}
	return ""
}
