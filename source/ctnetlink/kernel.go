package ctnetlink

// Sizes of the headers (struct nlmsghdr, struct nfgenmsg, struct nlattr).
const (
	headerLen = 16
	genLen    = 4
	attrLen   = 4

	flagsAt = 6 // of nlmsg_flags in the header
	seqAt   = 8 // of nlmsg_seq
)

// The bits of nlattr.nla_type (include/uapi/linux/netlink.h).
const (
	nlaNested   = 0x8000 // NLA_F_NESTED
	nlaTypeMask = 0x3fff // NLA_TYPE_MASK
)

// Conntrack messages (enum cntl_msg_types).
const (
	msgCtNew          = 0 // IPCTNL_MSG_CT_NEW
	msgCtGet          = 1 // IPCTNL_MSG_CT_GET
	msgCtDelete       = 2 // IPCTNL_MSG_CT_DELETE
	msgCtGetCtrZero   = 3 // IPCTNL_MSG_CT_GET_CTRZERO
	msgCtGetStatsCPU  = 4 // IPCTNL_MSG_CT_GET_STATS_CPU
	msgCtGetStats     = 5 // IPCTNL_MSG_CT_GET_STATS
	msgCtGetDying     = 6 // IPCTNL_MSG_CT_GET_DYING
	msgCtGetUnconfirm = 7 // IPCTNL_MSG_CT_GET_UNCONFIRMED
)

// Expectation messages (enum ctnl_exp_msg_types).
const (
	msgExpNew         = 0 // IPCTNL_MSG_EXP_NEW
	msgExpGet         = 1 // IPCTNL_MSG_EXP_GET
	msgExpDelete      = 2 // IPCTNL_MSG_EXP_DELETE
	msgExpGetStatsCPU = 3 // IPCTNL_MSG_EXP_GET_STATS_CPU
)

// Attributes of a conntrack message (enum ctattr_type).
const (
	ctaTupleOrig      = 1
	ctaTupleReply     = 2
	ctaStatus         = 3
	ctaProtoInfo      = 4
	ctaHelp           = 5
	ctaNATSrc         = 6 // input only
	ctaTimeout        = 7
	ctaMark           = 8
	ctaCountersOrig   = 9
	ctaCountersReply  = 10
	ctaUse            = 11
	ctaID             = 12
	ctaNATDst         = 13 // input only
	ctaTupleMaster    = 14
	ctaSeqAdjOrig     = 15
	ctaSeqAdjReply    = 16
	ctaZone           = 18
	ctaSecCtx         = 19
	ctaTimestamp      = 20
	ctaMarkMask       = 21 // input only
	ctaLabels         = 22
	ctaLabelsMask     = 23 // input only
	ctaSynProxy       = 24
	ctaFilter         = 25 // input only
	ctaStatusMask     = 26
	ctaTimestampEvent = 27
)

// Attributes of a tuple (enum ctattr_tuple, ctattr_ip, ctattr_l4proto).
const (
	ctaTupleIP    = 1
	ctaTupleProto = 2
	ctaTupleZone  = 3

	ctaIPv4Src = 1
	ctaIPv4Dst = 2
	ctaIPv6Src = 3
	ctaIPv6Dst = 4

	ctaProtoNum        = 1
	ctaProtoSrcPort    = 2
	ctaProtoDstPort    = 3
	ctaProtoICMPID     = 4
	ctaProtoICMPType   = 5
	ctaProtoICMPCode   = 6
	ctaProtoICMPv6ID   = 7
	ctaProtoICMPv6Type = 8
	ctaProtoICMPv6Code = 9
)

// Attributes of a layer 4 protocol's state (enum ctattr_protoinfo and below).
const (
	ctaProtoInfoTCP  = 1
	ctaProtoInfoDCCP = 2
	ctaProtoInfoSCTP = 3

	ctaTCPState       = 1
	ctaTCPWScaleOrig  = 2
	ctaTCPWScaleReply = 3
	ctaTCPFlagsOrig   = 4
	ctaTCPFlagsReply  = 5

	ctaDCCPState = 1
	ctaDCCPRole  = 2
	ctaDCCPSeq   = 3

	ctaSCTPState     = 1
	ctaSCTPVTagOrig  = 2
	ctaSCTPVTagReply = 3
)

// Attributes of the smaller nests.
const (
	ctaCountersPackets = 1 // enum ctattr_counters
	ctaCountersBytes   = 2

	ctaTimestampStart = 1 // enum ctattr_tstamp
	ctaTimestampStop  = 2

	ctaFilterOrigFlags = 1 // enum ctattr_filter

	ctaHelpName   = 1 // enum ctattr_help
	ctaSecCtxName = 1 // enum ctattr_secctx

	ctaSeqAdjCorrectionPos = 1 // enum ctattr_seqadj
	ctaSeqAdjOffsetBefore  = 2
	ctaSeqAdjOffsetAfter   = 3

	ctaSynProxyISN   = 1 // enum ctattr_synproxy
	ctaSynProxyITS   = 2
	ctaSynProxyTSOff = 3

	ctaNATV4MinIP = 1 // enum ctattr_nat
	ctaNATV4MaxIP = 2
	ctaNATProto   = 3
	ctaNATV6MinIP = 4
	ctaNATV6MaxIP = 5

	ctaProtoNATPortMin = 1 // enum ctattr_protonat
	ctaProtoNATPortMax = 2

	ctaStatsGlobalEntries = 1 // enum ctattr_stats_global
	ctaStatsGlobalMax     = 2
)

// Attributes of an expectation message (enum ctattr_expect, ctattr_expect_nat).
const (
	ctaExpectMaster   = 1
	ctaExpectTuple    = 2
	ctaExpectMask     = 3
	ctaExpectTimeout  = 4
	ctaExpectID       = 5
	ctaExpectHelpName = 6
	ctaExpectZone     = 7
	ctaExpectFlags    = 8
	ctaExpectClass    = 9
	ctaExpectNAT      = 10
	ctaExpectFn       = 11

	ctaExpectNATDir   = 1
	ctaExpectNATTuple = 2
)
