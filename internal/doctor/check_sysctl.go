package doctor

import "errors"

// errNoSysctl says that a setting could not be read.
var errNoSysctl = errors.New("the setting could not be read")

// set is the command that changes a setting of the namespace.
func (h *Host) set(name, value string) string {
	return h.inside("sysctl -w net.netfilter.nf_conntrack_" + name + "=" + value)
}

// checkEvents judges nf_conntrack_events.
func checkEvents() check {
	return check{
		id: "events", title: "net.netfilter.nf_conntrack_events",
		why: "0 makes the kernel silent; 2 hides the rest of every flow that began before the first listener",
		look: func(f *Facts) []Finding {
			h := f.Host
			v, ok := h.Sysctls["events"]
			switch {
			case !ok:
				return unknown(errNoSysctl)
			case v == 0:
				return one(Fail, "is 0: the kernel raises no event", h.set("events", "1"))
			case v == 2:
				return one(Warn, "is 2: a flow that began before the first listener raises no event, not even at its end", h.set("events", "1"))
			}
			return good("is 1")
		},
	}
}

// checkAccounting judges nf_conntrack_acct.
func checkAccounting() check {
	return check{
		id: "acct", title: "net.netfilter.nf_conntrack_acct",
		why: "without it records have no packets and no bytes; it counts for flows that begin afterwards",
		look: func(f *Facts) []Finding {
			return f.Host.wantOn("acct", "is 0: records have no packets and no bytes")
		},
	}
}

// checkTimestamp judges nf_conntrack_timestamp.
func checkTimestamp() check {
	return check{
		id: "timestamp", title: "net.netfilter.nf_conntrack_timestamp",
		why: "without it records have no start, stop and duration, and the time of an event is when it was read; it counts for flows that begin afterwards",
		look: func(f *Facts) []Finding {
			return f.Host.wantOn("timestamp", "is 0: records have no start, stop and duration")
		},
	}
}

// wantOn judges a setting that should not be 0.
func (h *Host) wantOn(name, off string) []Finding {
	v, ok := h.Sysctls[name]
	switch {
	case !ok:
		return unknown(errNoSysctl)
	case v == 0:
		return one(Warn, off, h.set(name, "1"))
	}
	return good("is on")
}
