package flow

import "net/netip"

// Creation is an entry that is to be made in the conntrack table.
//
// Of Event count the values that are present and that a process may set: both
// tuples and the timeout (needed), the status, mark, zone, labels, protocol
// state, helper, master, sequence adjustments and SYN proxy. All else that it
// has, such as counters and times, is the kernel's own and is passed over, so a
// row of a dump may serve as it is. A zone that holds in one direction only is
// that direction's Tuple.Zone, and then Event.Zone must be absent.
//
// Of the status the kernel takes neither EXPECTED (which a master gives) nor
// DYING: EBUSY. CONFIRMED, without which it takes none, is added. Labels are
// passed over by the kernel, without a word, while no rule of the namespace
// uses labels. There is no security mark: no kernel takes one.
type Creation struct {
	Event          *Event
	SrcNAT, DstNAT *NATRange // nil is none

	// Replace has an entry that exists already updated (no NLM_F_EXCL) with the
	// values of Event. NAT and a master cannot be updated: EOPNOTSUPP.
	Replace bool
}

// NATRange is what a new entry's source or destination is translated to
// (CTA_NAT_SRC, CTA_NAT_DST). The kernel picks an address and a port of the
// ranges that is free, and changes the reply tuple accordingly.
type NATRange struct {
	Min, Max         netip.Addr // Max invalid is Min; both invalid leaves the address
	MinPort, MaxPort uint16     // or ICMP ids, GRE keys; MaxPort 0 is MinPort; both 0 leave the port if it is free
}
