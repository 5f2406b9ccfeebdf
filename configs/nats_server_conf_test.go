package configs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// sampleServer runs nats-server with nats-server.conf as it stands, but for its
// port. The functions may change what was loaded.
func sampleServer(t *testing.T, change ...func(*server.Options)) *server.Server {
	t.Helper()
	for _, name := range []string{"EDGE_1", "VIEWER", "OPERATOR", "ADMIN"} {
		t.Setenv(name+"_PASSWORD", strings.ToLower(name)+"-secret")
	}
	opts, err := server.ProcessConfigFile("nats-server.conf")
	if err != nil {
		t.Fatal(err)
	}
	opts.Port, opts.NoSigs, opts.NoLog = server.RANDOM_PORT, true, true
	for _, f := range change {
		f(opts)
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("nats-server is not ready")
	}
	return srv
}

// as connects as one of the sample's users, with his own inbox.
func as(t *testing.T, srv *server.Server, user string, denied func(*natsconn.PermissionError)) *nats.Conn {
	t.Helper()
	conf := natsconn.Config{
		URLs: []string{srv.ClientURL()}, User: user, InboxPrefix: "_INBOX." + user,
		Password: option.NewSecret(strings.ReplaceAll(user, "-", "_") + "-secret"),
	}
	nc, err := natsconn.Dial(t.Context(), conf, natsconn.Callbacks{PermissionDenied: denied}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// echoCaller does what is asked of it on nothing: one row, and a count.
type echoCaller struct{ origin *flow.Origin }

func (c echoCaller) Call(ctx context.Context, q *control.Request, rows func(*flow.Batch) error) (*control.Result, error) {
	res := &control.Result{Request: q.ID, Count: 1}
	if q.Verb != control.VerbList && q.Verb != control.VerbWatch {
		return res, nil
	}
	b := flow.NewBatch(1)
	e := b.Next()
	e.Type, e.Table, e.Origin, e.Time, e.TimeSource = flow.TypeNew, flow.TableConntrack, c.origin, 1, flow.TimeReceived
	if err := rows(b); err != nil {
		return res, err
	}
	if q.Verb == control.VerbWatch {
		<-ctx.Done()
	}
	return res, nil
}

// sampleNode serves as edge-1 with the sample's permissions.
func sampleNode(t *testing.T, srv *server.Server) {
	t.Helper()
	origin := &flow.Origin{Node: "edge-1", Run: [16]byte{1}}
	nc := as(t, srv, "edge-1", func(pe *natsconn.PermissionError) { t.Errorf("the node was denied: %v", pe) })
	conf := control.DefaultConfig()
	conf.FleetWrites = true
	s, err := control.NewService(nc, control.ServiceOptions{
		Config: conf, Origin: origin, Version: "1.0.0", Caller: echoCaller{origin},
		Agent: func() (flow.Agent, []flow.SinkBooks) { return flow.Agent{Version: "1.0.0"}, nil },
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	for end := time.Now().Add(20 * time.Second); !s.Status().Serving; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the node does not serve")
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// request makes a request that a node would look at.
func request(v control.Verb) *control.Request {
	return &control.Request{Verb: v, Table: control.TableConntrack}
}

// TestSampleServerRoles holds the sample's roles to what they may, on one node
// and on the fleet.
func TestSampleServerRoles(t *testing.T) {
	srv := sampleServer(t)
	sampleNode(t, srv)
	reads := []control.Verb{control.VerbList, control.VerbGet, control.VerbCount, control.VerbStats}
	may := map[string]map[control.Verb]bool{"viewer": {}, "operator": {control.VerbDelete: true}, "admin": {}}
	for _, v := range control.Verbs() {
		may["admin"][v] = true
	}
	for user, verbs := range may {
		for _, v := range reads {
			verbs[v] = true
		}
		c, err := control.NewClient(as(t, srv, user, nil), control.ClientOptions{Discover: 200 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range control.Verbs() {
			if v == control.VerbWatch {
				continue
			}
			t.Run(fmt.Sprint(user, " ", v), func(t *testing.T) {
				_, err := c.Node("edge-1").Call(t.Context(), request(v), func(*flow.Batch) error { return nil })
				wantDenied(t, err, !verbs[v])
			})
			t.Run(fmt.Sprint(user, " fleet ", v), func(t *testing.T) {
				answers, err := c.Fleet().Call(t.Context(), request(v), func(*flow.Batch) error { return nil })
				if err == nil {
					err = answers[0].Err
				}
				wantDenied(t, err, !verbs[v] || user == "operator" && v == control.VerbDelete)
			})
		}
		if nodes, err := c.Nodes(t.Context()); err != nil || len(nodes) != 1 || nodes[0].Node != "edge-1" || nodes[0].Err != nil {
			t.Errorf("%s: nodes: %+v, %v", user, nodes, err)
		}
	}
}

func wantDenied(t *testing.T, err error, denied bool) {
	t.Helper()
	switch {
	case !denied && err != nil:
		t.Error(err)
	case denied && (!errors.Is(err, control.ErrDenied) || errors.Is(err, control.ErrAbsent)):
		t.Errorf("got %v, want no permission", err)
	}
}

// TestSampleServerWatch keeps a watch longer than a node may answer one message.
func TestSampleServerWatch(t *testing.T) {
	srv := sampleServer(t, func(o *server.Options) {
		for _, u := range o.Users {
			if u.Permissions.Response != nil {
				u.Permissions.Response.Expires = 4 * time.Second // one word of the caller's is 3 s behind the other
			}
		}
	})
	sampleNode(t, srv)
	c, err := control.NewClient(as(t, srv, "viewer", nil), control.ClientOptions{Silence: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
	defer cancel()
	res, err := c.Node("edge-1").Call(ctx, request(control.VerbWatch), func(*flow.Batch) error { return nil })
	if err != nil || res.Count != 1 {
		t.Errorf("got %+v, %v", res, err)
	}
}

// TestSampleServerNode holds the node to its own subjects.
func TestSampleServerNode(t *testing.T) {
	srv := sampleServer(t)
	denied := make(chan *natsconn.PermissionError, 100)
	nc := as(t, srv, "edge-1", func(pe *natsconn.PermissionError) { denied <- pe })
	for subject, want := range map[string]bool{
		"ctferry.v1.default.evt.edge-1.conntrack.new":    true,
		"ctferry.v1.default.audit.edge-1":                true,
		"ctferry.v1.default.node.edge-1.agent.who":       true,
		"ctferry.v1.default.evt.edge-2.conntrack.new":    false,
		"ctferry.v1.default.audit.edge-2":                false,
		"ctferry.v1.default.node.edge-2.conntrack.flush": false,
		"ctferry.v1.default.node.edge-1.conntrack.flush": false,
		"ctferry.v1.default.fleet.conntrack.list":        false,
		"$SRV.PING.ctferry":                              false,
		"_INBOX.viewer.abc":                              false,
		"anything":                                       false,
	} {
		if err := nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		checkDenied(t, nc, denied, subject, want)
	}
	for subject, want := range map[string]bool{
		"ctferry.v1.default.node.edge-1.conntrack.list": true,
		"ctferry.v1.default.fleet.conntrack.list":       true,
		"ctferry.v1.default.node.edge-2.conntrack.list": false,
		"ctferry.v1.default.node.>":                     false,
		"ctferry.v1.default.evt.>":                      false,
		"_INBOX.>":                                      false,
		"_INBOX.viewer.>":                               false,
		">":                                             false,
	} {
		sub, err := nc.SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		checkDenied(t, nc, denied, subject, want)
		_ = sub.Unsubscribe()
	}
}

// TestSampleServerInboxes keeps one user from what another is told.
func TestSampleServerInboxes(t *testing.T) {
	srv := sampleServer(t)
	for _, user := range []string{"viewer", "operator", "admin"} {
		denied := make(chan *natsconn.PermissionError, 100)
		nc := as(t, srv, user, func(pe *natsconn.PermissionError) { denied <- pe })
		for _, other := range []string{"viewer", "operator", "admin", "edge-1"} {
			if other == user {
				continue
			}
			for _, subject := range []string{"_INBOX." + other + ".>", "_INBOX.*.>", "_INBOX.>"} {
				sub, err := nc.SubscribeSync(subject)
				if err != nil {
					t.Fatal(err)
				}
				checkDenied(t, nc, denied, subject, false)
				_ = sub.Unsubscribe()
			}
		}
	}
}

// checkDenied waits until the server has seen what went before.
func checkDenied(t *testing.T, nc *nats.Conn, denied <-chan *natsconn.PermissionError, subject string, want bool) {
	t.Helper()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	wait := 100 * time.Millisecond
	if !want {
		wait = 10 * time.Second
	}
	select {
	case pe := <-denied:
		if want || pe.Subject != subject {
			t.Errorf("%s: got %v", subject, pe)
		}
	case <-time.After(wait):
		if !want {
			t.Errorf("%s: allowed", subject)
		}
	}
}

// TestSampleServerSecrets: without passwords in the environment it does not load.
func TestSampleServerSecrets(t *testing.T) {
	if _, err := server.ProcessConfigFile("nats-server.conf"); err == nil {
		t.Error("loaded without passwords")
	}
}
