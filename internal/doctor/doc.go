// Package doctor looks for what would keep a host from losing nothing: settings
// of the kernel, rights, rules, brokers, disks. It is for ctferry doctor and for
// the first lines of ctferry run, and changes nothing, anywhere.
//
// The facts come first and the judgement after: Look reads a Host, once, and
// each check is a function of Facts (the host, and the Plan of what a
// configuration asks of it) that does no I/O. What a broker says is asked
// through the one-method interface Prober, so the package never knows Kafka's or
// NATS's protocol, nor what a configuration looks like.
//
// A Host and a Plan belong to the caller; nothing here keeps them.
package doctor
