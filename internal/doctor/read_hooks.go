package doctor

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Hooks are for which families the tracker itself is registered.
type Hooks struct{ IPv4, IPv6 bool }

// Of linux/netfilter/nfnetlink_hook.h (Linux 5.14, CONFIG_NETFILTER_NETLINK_HOOK).
const (
	hookGet      = 0 // NFNL_MSG_HOOK_GET
	hookNumber   = 1 // NFNLA_HOOK_HOOKNUM
	hookFunction = 4 // NFNLA_HOOK_FUNCTION_NAME; absent without CONFIG_KALLSYMS
	hookModule   = 5 // NFNLA_HOOK_MODULE_NAME; absent where it is built in
)

// errNoHooks says that the kernel does not tell its hooks.
var errNoHooks = errors.New("this kernel does not tell its hooks (CONFIG_NETFILTER_NETLINK_HOOK)")

// readHooks asks which functions stand before routing.
func readHooks(ctx context.Context) (h Hooks, err error) {
	if h.IPv4, err = tracked(ctx, unix.NFPROTO_IPV4); err != nil {
		return h, err
	}
	h.IPv6, err = tracked(ctx, unix.NFPROTO_IPV6)
	return h, err
}

func tracked(ctx context.Context, family byte) (found bool, err error) {
	number := netlink.Attribute{Type: hookNumber, Data: binary.BigEndian.AppendUint32(nil, unix.NF_INET_PRE_ROUTING)}
	err = eachMessage(ctx, unix.NFNL_SUBSYS_HOOK<<8|hookGet, family, []netlink.Attribute{number}, func(data []byte) error {
		is, err := isTracker(data)
		found = found || is
		return err
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return false, errNoHooks
	}
	return found, err
}

// isTracker tells whether a hook is the tracker's own: ipv4_conntrack_in or
// ipv6_conntrack_in (nf_conntrack_proto.c).
func isTracker(data []byte) (bool, error) {
	function, err := attribute(data, hookFunction)
	if err != nil {
		return false, err
	}
	return strings.HasSuffix(text(function), "_conntrack_in"), nil
}
