// Package embedded is the nats-server inside the process, as the section
// nats_server of the configuration wants it: natsconn.Server with the users
// that ctferry knows, their keys, what each may do, and a context of the nats
// tool beside each key, by which a command line on this host finds the server.
// It must never know requests nor records, only their subjects.
//
// The caller owns a Server: Start before anybody connects, Shutdown after
// everybody is gone.
package embedded
