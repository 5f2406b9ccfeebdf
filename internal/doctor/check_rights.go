package doctor

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// checkCapability asks whether the kernel takes our requests.
func checkCapability() check {
	return check{
		id: "capability", title: "the right to read the kernel's events",
		why: "without CAP_NET_ADMIN over the namespace there are no events, no dumps and no control",
		look: func(f *Facts) []Finding {
			h := f.Host
			if h.NetAdmin && !errors.Is(h.FillErr, unix.EPERM) {
				return good("CAP_NET_ADMIN is effective")
			}
			if h.NetAdmin { // a file's capabilities end at the user namespace too
				return one(Fail, "CAP_NET_ADMIN is effective, but not over this network namespace, which is another user namespace's", "lsns -t user")
			}
			return one(Fail, "CAP_NET_ADMIN is not effective", "setcap cap_net_admin+ep "+quoteShell(h.Binary))
		},
	}
}

// checkModule asks whether the tracker and its netlink side are there.
func checkModule() check {
	return check{
		id: "module", title: "connection tracking in the kernel",
		why: "events are made by nf_conntrack and sent by nf_conntrack_netlink",
		look: func(f *Facts) []Finding {
			h := f.Host
			switch _, there := h.Sysctls["max"]; {
			case !there:
				return one(Fail, "nf_conntrack is not there", "modprobe nf_conntrack && modprobe nf_conntrack_netlink")
			case h.FillErr == nil:
				return good("nf_conntrack and nf_conntrack_netlink answer")
			case errors.Is(h.FillErr, unix.EPERM):
				return one(Unknown, "nf_conntrack is there; whether nf_conntrack_netlink is takes CAP_NET_ADMIN to ask", "")
			}
			return one(Fail, "nf_conntrack is there, nf_conntrack_netlink does not answer: "+h.FillErr.Error(), "modprobe nf_conntrack_netlink")
		},
	}
}

// The first kernel with what the ring needs (ctnetlink.ReceiveRing).
const ringMajor, ringMinor = 5, 8

// checkKernel tells whether events can come by the ring.
func checkKernel() check {
	return check{
		id: "receive", title: "the way by which events come", machine: true,
		why: "the ring costs no system call for each batch; the socket is as exact",
		look: func(f *Facts) []Finding {
			h, way := f.Host, f.Plan.Receive
			lacks := ringLacks(h.Release, h.BPF)
			switch {
			case way == "socket":
				return good("Linux " + h.Release + ", by the socket, as configured")
			case lacks == "":
				return good("Linux " + h.Release + ", by the ring")
			case way == "ring":
				return []Finding{{
					Severity: Fail, Found: "source.receive is ring, and there can be none: " + lacks,
					Why: "a ring that is demanded and cannot be made keeps ctferry from starting",
					Fix: "setcap cap_net_admin,cap_bpf+ep " + quoteShell(h.Binary),
				}}
			}
			return good("Linux " + h.Release + ", by the socket: " + lacks)
		},
	}
}

// ringLacks says why there can be no ring, or "".
func ringLacks(release string, bpf bool) string {
	major, minor := versionOf(release)
	switch {
	case major < ringMajor || major == ringMajor && minor < ringMinor:
		return fmt.Sprintf("the ring needs Linux %d.%d", ringMajor, ringMinor)
	case !bpf:
		return "the ring needs CAP_BPF in the machine's first user namespace"
	}
	return ""
}

// versionOf reads the first two numbers of a release.
func versionOf(release string) (major, minor int) {
	parts := strings.FieldsFunc(release, func(r rune) bool { return r < '0' || r > '9' })
	if len(parts) < 2 {
		return 0, 0
	}
	major, _ = strconv.Atoi(parts[0])
	minor, _ = strconv.Atoi(parts[1])
	return major, minor
}
