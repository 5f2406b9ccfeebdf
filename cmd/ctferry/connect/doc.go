// Package connect finds how a command line reaches the nodes over NATS: by what
// it says itself, by the environment, by a configuration file, by the keys that
// a server inside ctferry run has left on this host, or by a context of the
// nats tool. It must never know what is asked of the nodes.
package connect
