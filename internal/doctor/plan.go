package doctor

import (
	"context"
	"time"
)

// Plan is what a configuration asks of a host and of others. The zero Plan asks
// for nothing in particular.
type Plan struct {
	Buffer, MaxBuffer int    // effective bytes of the event socket, to begin with and at most
	Receive           string // auto, ring or socket

	Labels     bool     // a filter or a projection names labels
	LabelNames bool     // by name
	Zones      []uint16 // that a filter wants, other than 0

	Faults   []string // of what the configuration names, with which the service does not start
	Warnings []string // of the configuration itself
	Brokers  []Broker
	Dirs     []Directory
	Certs    []Certificate
	Ports    []Port
	Node     *Node // nil: nobody else could go by the name
}

// Prober asks another side whether it will take what is to be sent, without
// sending anything that a reader would see.
type Prober interface {
	// Probe gives what is wrong, each with its fix; nothing means that records
	// would be taken. It returns when ctx ends.
	Probe(ctx context.Context) []Problem
}

// Problem is something that a Prober found. Unknown means that it could not find out.
type Problem struct {
	Severity Severity
	Text     string
	Fix      string
}

// Broker is somewhere that records go.
type Broker struct {
	Key        string // the configuration's: sinks.siem
	Where      string // for people: kafka topic flows
	Probe      Prober // nil: nothing to ask, for instance a server in the process itself
	BestEffort string // why what is delivered may still be lost, or ""
	Remedy     string // the command against that
}

// Directory is where files are to grow.
type Directory struct {
	Key  string
	Path string
	Make bool   // it is made if it is missing
	Room uint64 // bytes that the files may come to take in all; 0 is not known
	Free uint64 // bytes that must stay free beside that
	// Own gives the bytes that our files there take already; nil is 0.
	Own func() uint64
}

// Certificate is a PEM file with certificates.
type Certificate struct{ Key, Path string }

// Port is an address on which the process will listen.
type Port struct{ Key, Address string }

// Node asks whether somebody else goes by this node's name.
type Node struct {
	Name string
	// Who gives the runs that answer for the name.
	Who func(context.Context) (runs []string, err error)
}

// expirySoon is how long before its end a certificate is a warning.
const expirySoon = 21 * 24 * time.Hour
