package doctor

import "fmt"

// eventCost is what an event takes of a receive buffer (ctnetlink.EventCost).
const eventCost = 1280

// checkBuffer asks whether the event socket may have the buffer that it wants.
func checkBuffer() check {
	return check{
		id: "buffer", title: "the event socket's receive buffer", machine: true,
		why: "what finds no room in it is lost; without CAP_NET_ADMIN in the machine's first user namespace net.core.rmem_max bounds it",
		look: func(f *Facts) []Finding {
			h, p := f.Host, f.Plan
			most := max(p.Buffer, p.MaxBuffer)
			limit, ok := h.Sysctls["rmem_max"]
			switch {
			case most == 0:
				return good("none is asked")
			case h.Force:
				return good(fmt.Sprintf("may be raised to %s: room for %d events", sizeOf(uint64(most)), most/eventCost))
			case !ok:
				return unknown(errNoSysctl)
			case 2*limit < int64(most):
				return one(Warn, fmt.Sprintf("is to be %s and may grow to %s, and can have %s: room for %d events",
					sizeOf(uint64(p.Buffer)), sizeOf(uint64(most)), sizeOf(uint64(2*limit)), 2*limit/eventCost),
					fmt.Sprintf("sysctl -w net.core.rmem_max=%d", most/2+most%2))
			}
			return good(fmt.Sprintf("net.core.rmem_max lets it have %s", sizeOf(uint64(2*limit))))
		},
	}
}

// sizeOf writes a number of bytes for people.
func sizeOf(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	if v == float64(uint64(v)) {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
