// Package frontend is conntrack(8): it turns a command line into requests, has
// them carried out by Hosts (this host, or nodes over NATS), prints what comes
// back and gives the exit code. It must never know the kernel's protocol nor the
// network's: what differs between here and there is behind Hosts.
//
// What conntrack 1.4.7 prints, this package prints, but for what Differences,
// conntrack.Differences and encode.TextDifferences list. A batch of rows is
// only its lender's: nothing of it is kept.
package frontend
