package flow

// The bits of CTA_STATUS (enum ip_conntrack_status).
const (
	StatusExpected     uint32 = 1 << iota // IPS_EXPECTED
	StatusSeenReply                       // IPS_SEEN_REPLY
	StatusAssured                         // IPS_ASSURED
	StatusConfirmed                       // IPS_CONFIRMED
	StatusSrcNAT                          // IPS_SRC_NAT
	StatusDstNAT                          // IPS_DST_NAT
	StatusSeqAdjust                       // IPS_SEQ_ADJUST
	StatusSrcNATDone                      // IPS_SRC_NAT_DONE
	StatusDstNATDone                      // IPS_DST_NAT_DONE
	StatusDying                           // IPS_DYING
	StatusFixedTimeout                    // IPS_FIXED_TIMEOUT
	StatusTemplate                        // IPS_TEMPLATE
	StatusNATClash                        // IPS_NAT_CLASH, once IPS_UNTRACKED
	StatusHelper                          // IPS_HELPER
	StatusOffload                         // IPS_OFFLOAD
	StatusHWOffload                       // IPS_HW_OFFLOAD
)

var statusNames = [...]string{
	"EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED", "SRC_NAT", "DST_NAT", "SEQ_ADJUST", "SRC_NAT_DONE",
	"DST_NAT_DONE", "DYING", "FIXED_TIMEOUT", "TEMPLATE", "NAT_CLASH", "HELPER", "OFFLOAD", "HW_OFFLOAD",
}

// StatusName is the kernel's word for bit number n of a status, or "" for one
// it did not have when this was written.
func StatusName(n int) string {
	if n >= 0 && n < len(statusNames) {
		return statusNames[n]
	}
	return ""
}

// ParseStatus finds a status bit by the kernel's word, in any case.
func ParseStatus(s string) (bit uint32, ok bool) {
	n, ok := nearName[uint8](statusNames[:], s)
	if !ok {
		return 0, false
	}
	return 1 << n, true
}
