// Package ctnetlink is the Linux kernel's protocol for connection tracking:
// its sockets, its codec and its table operations. It is the only package that
// knows ctnetlink; it must never know what is done with an event, nor when to
// read, dump or grow a buffer (that is policy, and source's).
//
// A [Listener] reads events, a [Conn] makes requests and dumps. Each has
// sockets of its own, because a reply must never queue behind a million events
// nor an event behind a dump.
//
// Ownership: events are decoded in place into slots of the caller's
// [flow.Batch]; nothing in them points into a receive buffer, and what they
// hold of strings is interned and may be kept.
//
// The wire format is that of net/netfilter/nf_conntrack_netlink.c and
// include/uapi/linux/netfilter/nfnetlink_conntrack.h: message and attribute
// headers in host byte order, payloads in network byte order, but for labels
// (bytes as they are) and error numbers (host).
package ctnetlink
