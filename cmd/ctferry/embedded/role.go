package embedded

import (
	"github.com/nats-io/nats-server/v2/server"

	"github.com/ctferry/ctferry/control"
)

// The users. Node is this process; the others are for people and programs.
const (
	Node     = "node"
	Viewer   = "viewer"
	Operator = "operator"
	Admin    = "admin"
)

// Roles are the users for people, the one who may do most first.
func Roles() []string { return []string{Admin, Operator, Viewer} }

// InboxPrefix is where a role's replies arrive. It is the role's own, for whoever
// may subscribe to _INBOX.> reads the replies to everybody.
func InboxPrefix(role string) string { return "_INBOX." + role }

// Permissions are the subjects of a role; nil, the process's own, are all. Site
// and prefix are those of s, nodes and tables any. A viewer reads, an operator
// also deletes on one node at a time, an admin does everything: a created entry
// passes a firewall's "established" rule, so create is an admin's.
//
// configs/nats-server.conf grants the same; a test holds the two together.
func Permissions(role string, s control.Subjects) *server.Permissions {
	if role == Node {
		return nil
	}
	base := s.Prefix + ".v1." + s.Site + "."
	if role == Admin {
		// JetStream delivers wherever it is asked to, so its API is for who may
		// do everything anyway.
		return allow(
			[]string{base + "node.>", base + "fleet.>", "$SRV.>", "$JS.API.>", "$JS.ACK.>", "$JS.FC.>"},
			[]string{InboxPrefix(role) + ".>", base + "evt.>", base + "audit.>", "$JS.EVENT.>"})
	}
	publish := []string{"$SRV.PING.ctferry", "$SRV.INFO.ctferry", "$SRV.STATS.ctferry", base + "node.*.stream.*"}
	for _, v := range control.Verbs() {
		if !v.Writes() || role == Operator && v == control.VerbDelete {
			publish = append(publish, base+"node.*.*."+string(v))
		}
		if !v.Writes() {
			publish = append(publish, base+"fleet.*."+string(v))
		}
	}
	return allow(publish, []string{InboxPrefix(role) + ".>"})
}

func allow(publish, subscribe []string) *server.Permissions {
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: publish}, Subscribe: &server.SubjectPermission{Allow: subscribe},
	}
}
