package embedded

import (
	"slices"

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
func InboxPrefix(role string) string { return "_INBOX_" + role }

// verbs are what a role may ask of a node: a viewer reads, an operator also
// deletes, an admin does everything. A created entry passes a firewall's
// "established" rule, so create is an admin's.
func verbs(role string) []control.Verb {
	return slices.DeleteFunc(control.Verbs(), func(v control.Verb) bool {
		switch role {
		case Admin:
			return false
		case Operator:
			return v.Writes() && v != control.VerbDelete
		}
		return v.Writes()
	})
}

// Permissions are the subjects of a role; nil, the process's own, are all. Site
// and prefix are those of s, nodes and tables any.
func Permissions(role string, s control.Subjects) *server.Permissions {
	if role == Node {
		return nil
	}
	base := s.Prefix + ".v1." + s.Site + "."
	publish := []string{"$SRV.>", base + "node.*.stream.*"} // discovery; words about an answer under way
	for _, v := range verbs(role) {
		publish = append(publish, base+"node.*.*."+string(v), base+"fleet.*."+string(v))
	}
	subscribe := []string{InboxPrefix(role) + ".>", base + "evt.>"}
	if role == Admin {
		// JetStream delivers wherever it is asked to, so its API is for who may
		// do everything anyway.
		publish = append(publish, "$JS.API.>", "$JS.ACK.>", "$JS.FC.>")
		subscribe = append(subscribe, base+"audit.>", "$JS.EVENT.>")
	}
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: publish}, Subscribe: &server.SubjectPermission{Allow: subscribe},
	}
}
