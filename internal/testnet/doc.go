// Package testnet gives private network namespaces, firewall rules and real
// traffic: the ground that tests stand on when they need the real kernel, and the
// stage of ctferry demo. A [Namespace] is born empty; [Namespace.Up] gives it a
// loopback, [Namespace.Lay] lays nftables rules, [Traffic] and [Mix] send counted
// flows over real sockets, and [Churn] writes entries into the connection tracking
// table as fast as ctnetlink takes them.
//
// It knows no other package of the project: it speaks the few ctnetlink messages of
// Churn by itself, so that a fault in the project's codec cannot hide in its tests.
// Namespaces belong to who made them, who calls Close; nothing here outlives that.
//
// A namespace is a property of a thread. While [Namespace.Do] runs, other goroutines
// must not trust /proc/self/net or /proc/self/ns/net, which show the process's first
// thread; /proc/thread-self is right everywhere.
package testnet
