package main

import (
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/source/ctnetlink"
)

// localTables are the tables of a network namespace of this host. They are
// opened once for all that a command line asks for: -R makes a request of every
// hundred lines. One goroutine uses them.
type localTables struct {
	netns string // its name under /run/netns; "" is the process's own
	conn  *ctnetlink.Conn
}

// open is an Executor's; there is no other namespace than the command line's.
func (l *localTables) open(string) (control.Session, error) {
	if l.conn == nil {
		conn, err := ctnetlink.Dial(ctnetlink.DialConfig{NetNS: namespacePath(l.netns), KeepMemory: true})
		if err != nil {
			return nil, err
		}
		l.conn = conn
	}
	return lent{l.conn}, nil
}

// lent stays open when a request ends.
type lent struct{ *ctnetlink.Conn }

// Close leaves it open.
func (lent) Close() error { return nil }

// cookie is the kernel's number for the namespace, without which rows had other
// flow ids than events; 0 if it cannot be read, as the rows then cannot.
func (l *localTables) cookie() uint64 {
	if _, err := l.open(l.netns); err != nil {
		return 0
	}
	cookie, err := l.conn.Cookie()
	if err != nil {
		return 0
	}
	return cookie
}

func (l *localTables) close() error {
	if l.conn == nil {
		return nil
	}
	return l.conn.Close()
}
