package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/internal/testnet"
)

// auditRecord is what these tests look at.
type auditRecord struct {
	Schema, Node, Phase, Verb, Message string
	Claimed                            string `json:"claimed_user"`
	Code, Count                        int
}

func audits(t *testing.T, text []byte) (all []auditRecord) {
	t.Helper()
	for line := range bytes.Lines(text) {
		var r auditRecord
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, r)
	}
	return all
}

// TestControlInRun lists, refuses, deletes and watches over NATS: what is
// refused and what is written is in the audit's file and on its subject.
func TestControlInRun(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(embeddedConfig, dir, "", ", allow: [list, count, delete, watch], max_affected: 50, protect: [10.9.0.0/16]"))
	p := startFerry(t, ns, "run", "-c", cfg)
	p.served(t)
	sub, err := inside(t, ns, dir, "admin").SubscribeSync("ctferry.v1.default.audit.edge-1")
	if err != nil {
		t.Fatal(err)
	}
	entry := func(src string, port int) {
		ferryLine(t, ns, 0, "-I", "-p", "udp", "-s", src, "-d", "10.8.0.2", "--sport", fmt.Sprint(port), "--dport", "53", "-t", "600").want(t, exitOK, "")
	}
	entry("10.8.0.1", 1000)
	entry("10.8.0.1", 1001)
	entry("10.9.0.1", 1002)
	node := []string{"--node", "edge-1", "--config", cfg}
	on := func(args ...string) ended { return ferryLine(t, ns, 0, append(args, node...)...) }
	on("-L").want(t, exitOK, "3 flow entries have been shown", "sport=1001")
	on("-C").want(t, exitOK, "3\n")
	on("-F").want(t, exitError, "flush is not allowed on this node")
	on("-D", "-p", "udp", "--sport", "1000").want(t, exitOK, "1 flow entries have been deleted")
	on("-D", "-p", "udp", "-s", "10.9.0.1").want(t, exitError, "")
	on("-C").want(t, exitOK, "2\n")
	ferryLine(t, ns, 0, "-D", "-p", "udp", "--node", "edge-1", "--nats-context", filepath.Join(dir, "credentials", "viewer.json")).want(t, exitError, "no permission")
	ferryLine(t, ns, 0, "-L", "--node", "nowhere", "--config", cfg).want(t, 3, "does not answer")

	text, err := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	file := audits(t, text)
	var phases []string
	for _, r := range file {
		phases = append(phases, r.Phase+" "+r.Verb)
		if r.Schema != "ctferry.audit.v1" || r.Node != "edge-1" || !strings.HasPrefix(r.Claimed, "root@") {
			t.Errorf("%+v", r)
		}
	}
	if want := []string{"refused flush", "intent delete", "done delete", "intent delete", "done delete"}; !slices.Equal(phases, want) {
		t.Errorf("the audit has %v, expected %v", phases, want)
	}
	for i := range file {
		m, err := sub.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		sent := audits(t, m.Data)[0]
		if sent != file[i] || m.Header["ctferry-schema"][0] != "ctferry.audit.v1" {
			t.Errorf("sent %+v with %v, in the file %+v", sent, m.Header, file[i])
		}
	}
	books := p.stop(t)
	if n := books.sink(t, auditSink, "delivered"); n != len(file) {
		t.Errorf("%d audit records delivered of %d", n, len(file))
	}
}

// TestControlReload changes what is allowed, and refuses by name what needs a
// restart; what is wrong changes nothing.
func TestControlReload(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	write := func(server, more string) string {
		return writeFile(t, dir, "c.yaml", fmt.Sprintf(embeddedConfig, dir, server, more))
	}
	cfg := write("", "")
	p := startFerry(t, ns, "run", "-c", cfg)
	p.served(t)
	flush := func() ended {
		return ferryLine(t, ns, 0, "-F", "--node", "edge-1", "--nats-context", filepath.Join(dir, "credentials", "admin.json"))
	}
	flush().want(t, exitError, "flush is not allowed on this node")
	write("", ", allow: [flush]")
	p.sighup(t, reloaded)
	waitFor(t, "control to serve again", func() bool { return len(p.said("control serves")) == 2 })
	flush().want(t, exitOK, "connection tracking table has been emptied")
	for _, tt := range []struct{ server, more, want string }{
		{"", ", prefix: other", "control.prefix needs a restart"},
		{"", ", site: other", "control.site needs a restart"},
		{", max_connections: 7", "", "nats_server needs a restart"},
	} {
		write(tt.server, tt.more)
		if e := p.sighup(t, notReloaded); !strings.Contains(e["err"].(string), tt.want) {
			t.Errorf("%v, expected %q", e, tt.want)
		}
	}
	write("", ", allow: [flsh]")
	if e := p.sighup(t, notReloaded); !strings.Contains(e["err"].(string), `c.yaml:5:`) || !strings.Contains(e["err"].(string), `"flsh" is no verb`) {
		t.Errorf("%v", e)
	}
	flush().want(t, exitOK, "emptied")
	write("", ", allow: [list]")
	p.sighup(t, reloaded)
	waitFor(t, "control to serve again", func() bool { return len(p.said("control serves")) == 3 })
	flush().want(t, exitError, "flush is not allowed on this node")
	p.stop(t)
}

func TestControlNeedsRestart(t *testing.T) {
	load := func(set ...string) *configs.Config {
		t.Helper()
		cfg, err := loadConfig(configs.Input{Set: append([]string{
			"connections.a={type: nats, urls: [nats://a]}", "connections.b={type: nats, urls: [nats://b]}", "control.connection=a", "sinks.o={type: stdout}",
		}, set...)})
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	for _, tt := range []struct {
		was, is []string
		want    string
	}{
		{nil, []string{"control.site=x", "control.connection=b", "control.audit.keep=1", "nats_server.max_connections=7"}, ""},
		{nil, []string{"control.enabled=true"}, "control.enabled"},
		{nil, []string{"nats_server.enabled=true"}, "nats_server"},
		{[]string{"control.enabled=true"}, []string{"control.enabled=true", "control.connection=b"}, "control.connection"},
		{[]string{"control.enabled=true"}, []string{"control.enabled=true", "connections.a.urls=[nats://c]"}, "control.connection"},
		{[]string{"control.enabled=true"}, []string{"control.enabled=true", "control.audit.keep=1", "control.prefix=p", "control.site=s"}, "control.audit, control.prefix, control.site"},
		{[]string{"control.enabled=true"}, []string{"control.enabled=true", "control.max_affected=1", "control.allow=[]", "control.protect=[10.0.0.0/8]", "control.watchers=9"}, ""},
		{[]string{"nats_server.enabled=true"}, []string{"nats_server.enabled=true", "control.site=s"}, "control.site"},
	} {
		got := ""
		if err := needsRestart(load(tt.was...), load(tt.is...)); err != nil {
			got = strings.TrimSuffix(strings.TrimPrefix(err.Error(), "a change of "), " needs a restart")
		}
		if got != tt.want {
			t.Errorf("%v to %v: %q, expected %q", tt.was, tt.is, got, tt.want)
		}
	}
}

const awayConfig = `
node: edge-1
source: {buffer: {size: 8MiB, max: 8MiB}}
connections: {hub: {type: nats, urls: [%[1]s], user: node, password_file: %[2]s/password}}
control: {enabled: true, connection: hub, audit: {path: %[2]s/audit.jsonl}}
sinks: {out: {type: file, path: %[2]s/out}}
`

// TestControlAwayHoldsUpNobody starts while the broker is away, refuses the
// password, and at last is there: delivery goes on all the while.
func TestControlAwayHoldsUpNobody(t *testing.T) {
	hub := natstest.Start(t, func(c *natsconn.ServerConfig) {
		c.Users = append(c.Users, natstest.User("node", "right", nil, nil), natstest.User("ann", "pw", nil, nil))
	})
	url, dir := hub.ClientURL(), t.TempDir()
	hub.Stop()
	writeFile(t, dir, "password", "wrong")
	p := startFerry(t, nil, "run", "-c", writeFile(t, dir, "c.yaml", fmt.Sprintf(awayConfig, url, dir)))
	why := func() string {
		all := p.said("control is not reachable, will try again")
		if len(all) == 0 {
			return ""
		}
		return all[len(all)-1]["err"].(string)
	}
	waitFor(t, "the first attempt", func() bool { return strings.Contains(why(), "connection refused") })
	waitFor(t, "the file", func() bool { return linesSoFar(t, filepath.Join(dir, "out")) >= 1 })
	hub.Restart(t)
	waitFor(t, "the refusal", func() bool { return strings.Contains(strings.ToLower(why()), "authorization violation") })
	if n := len(p.said("control is not reachable, will try again")); n > 3 {
		t.Errorf("%d lines tell that the broker is away", n)
	}
	writeFile(t, dir, "password", "right")
	p.served(t)
	as := hub.Config()
	as.User, as.Password = "ann", option.NewSecret("pw")
	nc, err := natsconn.Dial(t.Context(), as, natsconn.Callbacks{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	hub.Stop() // and again
	hub.Restart(t)
	waitFor(t, "the node to answer again", func() bool {
		m, err := nc.Request("$SRV.PING.ctferry", nil, 200*time.Millisecond)
		return err == nil && bytes.Contains(m.Data, []byte("edge-1"))
	})
	if e := p.sighup(t, reloaded); e == nil {
		t.Error("no reload")
	}
	p.stop(t)
}

// TestControlAtFaultStops: what no waiting can mend ends the program at once.
func TestControlAtFaultStops(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(awayConfig, "nats://127.0.0.1:1", dir))
	ferryLine(t, ns, 0, "run", "-c", cfg).want(t, exitError, "ctferry: control.connection: password_file: open "+dir+"/password: no such file or directory")
	writeFile(t, dir, "password", "x")
	o := ferryLine(t, ns, 0, "run", "-c", cfg, "--set", "control.allow=[delete]", "--set", "control.audit.path="+dir+"/password/x")
	o.want(t, exitError, "ctferry: control.audit.path: ", "not a directory")
}

// TestWithoutControlNothingOfItRuns looks at what the process has open.
func TestWithoutControlNothingOfItRuns(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	p := startFerry(t, ns, "run", "-c", writeFile(t, dir, "c.yaml", "sinks: {out: {type: file, path: "+dir+"/out}}\n"))
	waitFor(t, "the file", func() bool { _, err := os.Stat(filepath.Join(dir, "out")); return err == nil })
	tcp, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", p.cmd.Process.Pid))
	if err != nil || bytes.Count(tcp, []byte("\n")) != 1 {
		t.Errorf("connections in the namespace:\n%s%v", tcp, err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("%v, %v", files, err)
	}
	p.stop(t)
}

// TestNodesOfAFleet asks several nodes: those that answer, one that is frozen,
// one that never was.
func TestNodesOfAFleet(t *testing.T) {
	hub := natstest.Start(t)
	all := map[string]*process{}
	for _, name := range []string{"edge-1", "edge-2"} {
		dir := t.TempDir()
		writeFile(t, dir, "password", "x")
		text := strings.Replace(fmt.Sprintf(awayConfig, hub.ClientURL(), dir), "node: edge-1", "node: "+name, 1)
		text = strings.Replace(text, ", user: node, password_file: "+dir+"/password", "", 1)
		all[name] = startFerry(t, nil, "run", "-c", writeFile(t, dir, "c.yaml", text))
		all[name].served(t)
	}
	at := []string{"--server", hub.ClientURL(), "--wait", "1s"}
	nodes := func(args ...string) ended {
		return ferryLine(t, nil, 0, append(append([]string{"nodes"}, args...), at...)...)
	}
	nodes().want(t, exitOK, "edge-1", "edge-2")
	o := nodes("--json", "edge-1")
	for line := range strings.Lines(o.out) {
		var r nodeReport
		if err := json.Unmarshal([]byte(line), &r); err != nil || !r.Answered || r.Version == "" || r.Uptime <= 0 || len(r.Tables) == 0 || len(r.Sinks) != 2 || r.Kernel == "" {
			t.Errorf("%v: %+v", err, r)
		}
	}
	if o.code != exitOK || strings.Count(o.out, "\n") != 2 {
		t.Errorf("%+v", o)
	}
	o = nodes("edge-1", "edge-9")
	o.want(t, exitNoOne, "edge-1", `node "edge-9"`, "no answer")
	nodes("--site", "elsewhere").want(t, exitNoOne, "no node answers at site elsewhere")
	for _, p := range all {
		p.stop(t)
	}
	nodes().want(t, exitNoOne, "no node answers at site default on "+hub.ClientURL()+" (--server)")
	hub.Stop()
	nodes().want(t, exitError, "ctferry: --server: nats: cannot connect to "+hub.ClientURL()+": dial tcp ", "connection refused")
}

func TestNodesMistakes(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("NATS_URL", "")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"nodes", "--wait", "0s"}, "--wait: 0s: expected a time such as 2s"},
		{[]string{"nodes", "--wait", "soon"}, `invalid argument "soon" for "--wait" flag`},
		{[]string{"nodes", "--server", "ann:pw@host"}, "is not taken from the command line"},
		{[]string{"nodes", "--nats-context", "absent"}, "context absent: open "},
		{[]string{"nodes", "-c", "/absent.yaml"}, "open /absent.yaml: no such file"},
	} {
		code, out, errOut := run(tt.args...)
		if code != exitUsage || out != "" || !strings.Contains(errOut, tt.want) {
			t.Errorf("%q: code %d, output %q, error %q: expected code 2 and %q", tt.args, code, out, errOut, tt.want)
		}
	}
}

// TestSingleMachine runs the example as it stands, in folders of its own: the
// keys are found, the node answers, and the records are in the stream and in
// the file.
func TestSingleMachine(t *testing.T) {
	if os.Getuid() != 0 {
		testnet.Unavailable(t, "folders of its own need root")
	}
	ns, example := loadedNamespace(t), absolute(t, "../../configs/single.yaml")
	script := `mount -t tmpfs none /var/lib && mount -t tmpfs none /var/log && mkdir /var/log/ctferry &&
"$0" run -c "$1" --set node=edge-1 2>/var/log/err & pid=$!
for i in $(seq 100); do "$0" nodes -c "$1" >/var/log/nodes 2>&1 && break; sleep 0.1; done
cat /var/log/nodes; ls -l /var/lib/ctferry/credentials
"$0" -I -p udp -s 10.8.0.1 -d 10.8.0.2 --sport 1 --dport 53 -t 600
"$0" -L --node edge-1 -o extended || exit 9
"$0" -F --node edge-1 && exit 8
"$0" -F; sleep 0.5
kill $pid; wait $pid || exit 7
cat /var/log/ctferry/flows.jsonl /var/log/err; du -s /var/lib/ctferry/nats`
	o := unshared(t, ns, script, binary(t), example)
	o.want(t, exitOK, "edge-1", "admin.json", "sport=1 dport=53", "flush is not allowed on this node", `"event_type":"destroy"`, "sink=stream offered=", "level=INFO msg=\"control serves\"")
	// What it says of the host is the machine's own: its clock, for one.
	own := regexp.MustCompile(`.*msg="host check".*\n`).ReplaceAllString(o.out, "")
	if strings.Contains(own, "level=ERROR") || strings.Contains(own, "level=WARN") {
		t.Errorf("the log complains:\n%s", own)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// unshared runs a shell script with a mount namespace of its own, inside ns.
func unshared(t *testing.T, ns *testnet.Namespace, script string, args ...string) ended {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"-m", "sh", "-c", script}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}
	return runInside(t, ns, cmd)
}

// TestControlWithTheSample runs a node as the user that configs/nats-server.conf
// has for it: it serves, delivers and tells its audit; its viewer reads and may
// do no more.
func TestControlWithTheSample(t *testing.T) {
	for _, name := range []string{"VIEWER", "OPERATOR", "ADMIN", "EDGE_1"} {
		t.Setenv(name+"_PASSWORD", strings.ToLower(name)+"-pw")
	}
	o, err := server.ProcessConfigFile("../../configs/nats-server.conf")
	if err != nil {
		t.Fatal(err)
	}
	hub := natstest.Start(t, func(c *natsconn.ServerConfig) { c.Users, c.StoreDir = o.Users, "" })
	dir := t.TempDir()
	as := func(user, password string) string {
		text := fmt.Sprintf(`{"url": %q, "user": %q, "password": %q, "inbox_prefix": "_INBOX.%s"}`, hub.ClientURL(), user, password, user)
		return writeFile(t, dir, user+".json", text)
	}
	admin := hub.Config()
	admin.User, admin.Password, admin.InboxPrefix = "admin", option.NewSecret("admin-pw"), "_INBOX.admin"
	nc, err := natsconn.Dial(t.Context(), admin, natsconn.Callbacks{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	events, err := nc.SubscribeSync("ctferry.v1.default.evt.edge-1.>")
	if err != nil {
		t.Fatal(err)
	}
	audit, err := nc.SubscribeSync("ctferry.v1.default.audit.edge-1")
	if err := errors.Join(err, nc.Flush()); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "password", "edge_1-pw\n")
	p := startFerry(t, nil, "run", "-c", writeFile(t, dir, "c.yaml", fmt.Sprintf(`
node: edge-1
source: {buffer: {size: 8MiB, max: 8MiB}}
connections: {hub: {type: nats, urls: [%s], user: edge-1, password_file: %s/password, inbox_prefix: _INBOX.edge-1}}
control: {enabled: true, connection: hub, audit: {path: %[2]s/audit.jsonl}}
sinks: {bus: {type: nats, connection: hub}}
`, hub.ClientURL(), dir)))
	p.served(t)
	if _, err := events.NextMsg(20 * time.Second); err != nil {
		t.Errorf("no record at the admin: %v", err)
	}
	viewer, operator := as("viewer", "viewer-pw"), as("operator", "operator-pw")
	ferryLine(t, nil, 0, "nodes", "--nats-context", viewer).want(t, exitOK, "edge-1", "2 of 2 well")
	ferryLine(t, nil, 0, "-C", "--node", "edge-1", "--nats-context", viewer).want(t, exitOK, "\n")
	ferryLine(t, nil, 0, "-F", "--node", "edge-1", "--nats-context", viewer).want(t, exitError, "no permission")
	ferryLine(t, nil, 0, "-D", "-p", "udp", "--dport", "1", "--node", "edge-1", "--nats-context", operator).want(t, exitError, "delete is not allowed on this node")
	m, err := audit.NextMsg(20 * time.Second)
	if err != nil || audits(t, m.Data)[0].Verb != "delete" {
		t.Errorf("no audit at the admin: %v", err)
	}
	if n := len(p.said("nats permission denied")); n != 0 {
		t.Errorf("the node was denied: %v", p.said("nats permission denied"))
	}
	p.stop(t)
}

// TestControlInNamespaces asks for a namespace that the service reads, and for
// one that it does not; a listed row has the flow id of its event.
func TestControlInNamespaces(t *testing.T) {
	ns, dir := pipelineNamespace(t), t.TempDir()
	name := filepath.Base(ns.Path())
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(embeddedConfig, dir, "", ", allow: [list, watch]")+
		"  out: {type: file, path: "+dir+"/out, filter: {include: [{netns: "+name+"}]}}\n")
	p := startFerry(t, nil, "run", "-c", cfg, "--set", "source.netns=["+name+"]")
	waitFor(t, "the namespace", func() bool { return len(p.said("network namespace opened")) > 0 })
	p.served(t)
	watch := exec.CommandContext(t.Context(), binary(t), "-E", "-o", "json", "--node", "edge-1", "--netns", name, "--config", cfg)
	var seen bytes.Buffer
	watch.Stdout = &seen
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = watch.Process.Kill(); _ = watch.Wait() })
	time.Sleep(time.Second) // until it listens
	ferryLine(t, ns, 0, "-I", "-p", "udp", "-s", "10.8.0.1", "-d", "10.8.0.2", "--sport", "77", "--dport", "53", "-t", "600").want(t, exitOK, "")
	list := ferryLine(t, nil, 0, "-L", "-p", "udp", "-o", "json", "--node", "edge-1", "--netns", name, "--config", cfg)
	type row struct {
		FlowID string `json:"flow_id"`
		NetNS  string `json:"netns"`
		Run    string `json:"run"`
		Type   string `json:"event_type"`
	}
	read := func(text string) (r row) {
		t.Helper()
		for line := range strings.Lines(text) {
			if strings.Contains(line, `"sport":77`) {
				if err := json.Unmarshal([]byte(line), &r); err != nil {
					t.Error(err)
				}
			}
		}
		return r
	}
	waitFor(t, "the event", func() bool { text, _ := os.ReadFile(dir + "/out"); return read(string(text)).FlowID != "" })
	text, err := os.ReadFile(dir + "/out")
	if err != nil {
		t.Fatal(err)
	}
	event, listed := read(string(text)), read(list.out)
	if listed.FlowID != event.FlowID || listed.NetNS != name || listed.Run == event.Run || listed.Type != "dump" {
		t.Errorf("listed %+v, event %+v, from\n%s%s", listed, event, list.out, list.errOut)
	}
	_ = watch.Process.Signal(os.Interrupt)
	_ = watch.Wait()
	if watched := read(seen.String()); watched.FlowID != event.FlowID || watched.Type != "new" || watched.Run == event.Run || watched.Run == listed.Run {
		t.Errorf("watched %+v, event %+v", watched, event)
	}
	for _, args := range [][]string{{"-L"}, {"-E"}} {
		ferryLine(t, nil, 0, append(args, "--node", "edge-1", "--netns", "elsewhere", "--config", cfg)...).want(t, exitError, "elsewhere")
	}
	p.stop(t)
}
