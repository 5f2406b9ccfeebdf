package conntrack

// key names an option. The parameters stand in the order in which the tool
// checks them, so that of two faults both programs report the same one.
type key uint8

const (
	kCommand key = iota // -L and its like; option.verb tells which
	kSrc
	kDst
	kReplySrc
	kReplyDst
	kProto
	kTimeout
	kStatus
	kZero
	kEvents
	kTupleSrc
	kTupleDst
	kMaskSrc
	kMaskDst
	kNATRange
	kMark
	kID
	kFamily
	kSrcNAT
	kDstNAT
	kOutput
	kSecmark
	kBuffer
	kAnyNAT
	kZone
	kLabel
	kLabelAdd
	kLabelDel
	kOrigZone
	kReplyZone
	kExtra
	kPortSrc // from here on: options of the protocols, see protocol.go
	kPortDst
	kPortReplySrc
	kPortReplyDst
	kPortMaskSrc
	kPortMaskDst
	kState
	kPortTupleSrc
	kPortTupleDst
	kVTagOrig
	kVTagReply
	kRole
	kICMPType
	kICMPCode
	kICMPID
)

// keys is a set of options.
type keys uint64

func (s keys) has(k key) bool { return s&(1<<k) != 0 }

func keysOf(ks ...key) keys {
	var s keys
	for _, k := range ks {
		s |= 1 << k
	}
	return s
}

// all reports whether every one of ks is in the set.
func (s keys) all(ks ...key) bool { return s&keysOf(ks...) == keysOf(ks...) }

// any reports whether one of ks is in the set.
func (s keys) any(ks ...key) bool { return s&keysOf(ks...) != 0 }
