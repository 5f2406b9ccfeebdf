// Package top shows how a service is, live, in a terminal: rates by event and
// protocol, receive buffers, loss, sinks, tables and the last errors, the same
// as the admin port's page. What it shows comes from the admin port of this
// host or, over NATS, from a node's status records. It only reads.
package top
