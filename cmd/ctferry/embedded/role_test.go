package embedded

import (
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ctferry/ctferry/control"
)

// TestRolesAgreeWithTheSample reads the sample nats-server.conf as nats-server
// does: what it grants each role, the server inside the process grants too, and
// nothing more but JetStream, to the admin.
func TestRolesAgreeWithTheSample(t *testing.T) {
	for _, name := range []string{"VIEWER", "OPERATOR", "ADMIN", "EDGE_1"} {
		t.Setenv(name+"_PASSWORD", "pw")
	}
	o, err := server.ProcessConfigFile("../../../configs/nats-server.conf")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, u := range o.Users {
		if !slices.Contains(Roles(), u.Username) {
			continue // the node, which is not alone there
		}
		found++
		own := Permissions(u.Username, control.Subjects{Prefix: "ctferry", Site: "default"})
		same(t, u.Username+" publishes", u.Permissions.Publish, own.Publish)
		same(t, u.Username+" subscribes", u.Permissions.Subscribe, own.Subscribe)
	}
	if found != len(Roles()) {
		t.Errorf("%d roles in the sample", found)
	}
}

func same(t *testing.T, what string, sample, own *server.SubjectPermission) {
	t.Helper()
	ours := slices.DeleteFunc(slices.Clone(own.Allow), func(s string) bool { return strings.HasPrefix(s, "$JS.") })
	theirs := slices.Clone(sample.Allow)
	slices.Sort(ours)
	slices.Sort(theirs)
	if !slices.Equal(ours, theirs) || len(sample.Deny)+len(own.Deny) > 0 {
		t.Errorf("%s: sample\n%v\nown\n%v", what, theirs, ours)
	}
}
