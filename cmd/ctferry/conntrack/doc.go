// Package conntrack is the grammar of conntrack(8)'s command line, and nothing
// else: Parser.Parse turns words into a typed Command, Command.Args turns it
// back. It does no I/O, keeps no state and knows neither the kernel nor the
// network; what it needs of the machine (protocol names, label names) the
// caller passes in.
//
// The oracle is conntrack 1.4.7, run beside this package in its tests. Where
// that tool is lax, silently ignores what was typed, or crashes, this package
// refuses; Differences lists every such place, and the tests accept no other.
//
// A Command belongs to who called Parse; its slices are fresh. One of Lines is
// lent until the next line. All numbers are in host order.
package conntrack
