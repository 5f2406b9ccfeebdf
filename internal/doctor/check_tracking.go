package doctor

import (
	"fmt"
	"strings"
)

// trackFix is a rule that asks about connections and decides nothing, which is
// enough for the kernel to track both families.
const trackFix = "nft 'table inet ctferry { chain track { type filter hook output priority 0; policy accept; ct state new counter; }; }'"

// checkTracking asks whether anything turns tracking on in the namespace. The
// kernel tracks nothing where no rule wants to know of connections (since Linux
// 4.10, nf_ct_netns_get).
func checkTracking() check {
	return check{
		id: "tracking", title: "a rule that turns tracking on",
		why: "the kernel tracks nothing in a namespace where no rule asks about connections: no entries, no events",
		look: func(f *Facts) []Finding {
			h := f.Host
			switch {
			case h.HooksErr == nil:
				return byHooks(h)
			case h.RulesErr == nil && h.Rules.Track > 0:
				return good(tellRules(&h.Rules))
			case h.Sysctls["count"] > 0:
				return good(fmt.Sprintf("the table has %d entries, though no rule of nftables or iptables asks for them", h.Sysctls["count"]))
			case h.RulesErr != nil:
				return unknown(h.RulesErr)
			case h.Rules.Blind != "":
				return one(Unknown, "cannot be told: "+h.Rules.Blind, "")
			}
			return one(Fail, "no rule of nftables or iptables asks about connections, and the table is empty", h.inside(trackFix))
		},
	}
}

// byHooks judges what the kernel itself tells.
func byHooks(h *Host) []Finding {
	switch {
	case h.Hooks.IPv4 && h.Hooks.IPv6:
		return good("the tracker's hooks are in place for IPv4 and IPv6")
	case h.Hooks.IPv4:
		return good("the tracker's hooks are in place, for IPv4 alone")
	case h.Hooks.IPv6:
		return good("the tracker's hooks are in place, for IPv6 alone")
	case h.Sysctls["count"] > 0:
		return good(fmt.Sprintf("the table has %d entries, though the tracker's hooks are not in place", h.Sysctls["count"]))
	}
	return one(Fail, "the tracker's hooks are not in place, and the table is empty", h.inside(trackFix))
}

func tellRules(r *Rules) string {
	s := fmt.Sprintf("%d %s: %s", r.Track, plural("rule", r.Track), strings.Join(r.By, ", "))
	if r.NoTrack > 0 {
		s += fmt.Sprintf("; %d %s packets out of it (notrack)", r.NoTrack, map[bool]string{true: "rule takes", false: "rules take"}[r.NoTrack == 1])
	}
	return s
}

// checkEventMask looks for rules that narrow which events a flow makes.
func checkEventMask() check {
	return check{
		id: "event_mask", title: "rules that narrow a flow's events",
		why: "a flow that passes such a rule is silent about everything that the rule does not name",
		look: func(f *Facts) []Finding {
			h := f.Host
			switch {
			case h.RulesErr != nil:
				return unknown(h.RulesErr)
			case h.Rules.Mask > 0:
				return one(Warn, fmt.Sprintf("%d %s ct event", h.Rules.Mask, map[bool]string{true: "rule sets", false: "rules set"}[h.Rules.Mask == 1]),
					h.inside("nft -a list ruleset | grep 'ct event set'"))
			}
			return good("none sets ct event")
		},
	}
}
