// Package natsconn connects this process to NATS: Dial opens a client
// connection from a validated Config, and Server runs a real nats-server inside
// the process. Credentials keep the keys of that server's users as files, and
// ClientContext reads and writes what the nats tool knows of a server. It is
// for whatever speaks NATS (a sink, the control service, the command line) and
// must never know what travels on the subjects: no events, no encodings, no
// subject layout.
//
// Who retries: Dial tries every URL once and fails fast with one error that
// names each server and its reason, because the callers have retry loops of
// their own. A connection that once stood reconnects for ever, with backoff and
// jitter, and re-reads passwords, tokens, credentials and certificates from
// their files each time. While it is down a publish fails at once: nothing
// hides in a reconnect buffer.
//
// Ownership: the *nats.Conn that Dial returns is the caller's, who closes it. A
// Server is its creator's, who calls Shutdown; its store directory is locked
// against other processes while it runs.
package natsconn
