package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/admin"
	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// adminAddress is free in a private namespace.
const adminAddress = "127.0.0.1:9479"

// adminClient asks the admin port inside ns.
func adminClient(t *testing.T, ns *testnet.Namespace) *http.Client {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (c net.Conn, err error) {
		var d net.Dialer
		err = ns.Do(func() error { c, err = d.DialContext(ctx, network, address); return err })
		return c, err
	}}
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// fetch gives an answer's text and status.
func fetch(t *testing.T, c *http.Client, path string) (text []byte, status int) {
	t.Helper()
	res, err := c.Get("http://" + adminAddress + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err = io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return text, res.StatusCode
}

// adminStats reads the snapshot, strictly.
func adminStats(t *testing.T, c *http.Client) *admin.Snapshot {
	t.Helper()
	text, status := fetch(t, c, "/stats.json")
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var snap admin.Snapshot
	if err := dec.Decode(&snap); err != nil || status != http.StatusOK {
		t.Fatalf("status %d, %v in %s", status, err, text)
	}
	return &snap
}

// scrape reads the metrics: the value of each series by its name and labels.
func scrape(t *testing.T, c *http.Client) map[string]float64 {
	t.Helper()
	text, status := fetch(t, c, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, text)
	}
	all := map[string]float64{}
	for sc := bufio.NewScanner(bytes.NewReader(text)); sc.Scan(); {
		line := sc.Text()
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			v, err := strconv.ParseFloat(line[i+1:], 64)
			if err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			all[line[:i]] = v
		}
	}
	return all
}

const adminConfig = embeddedConfig + `
  file: {type: file, path: %[1]s/out, rotate: {size: 0}}
  dead: {type: kafka, brokers: ["127.0.0.1:9"], topic: t, memory: 8MiB, drain: 0s}
spool: {mode: always, dir: %[1]s/spool, min_free: 0}
admin: {listen: "127.0.0.1:9479"}
`

// TestEverybodyTellsTheSameNumbers has one service: its metrics, its JSON, its
// status record, what it answers over NATS and its last log lines agree to the
// event, and balance.
func TestEverybodyTellsTheSameNumbers(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	cfg := writeFile(t, dir, "c.yaml", fmt.Sprintf(adminConfig, dir, "", ""))
	p := startFerry(t, ns, "run", "-c", cfg)
	p.served(t)
	churn(t, ns, 700)
	c := adminClient(t, ns)
	quiet := func() *admin.Snapshot {
		var snap *admin.Snapshot
		waitFor(t, "the sinks to have everything", func() bool {
			snap = adminStats(t, c)
			for i := range snap.Books.Sinks {
				if b := &snap.Books.Sinks[i]; b.Name != "dead" && b.Held > 0 {
					return false
				}
			}
			return len(snap.Books.Sockets) == 1 && snap.Books.Sockets[0].Received == 1400
		})
		return snap
	}
	quiet()
	p.sighup(t, reloaded) // a status record behind all events
	snap := quiet()
	if !snap.Books.Balanced() || snap.Schema != admin.Schema || snap.Node != "edge-1" || !snap.Ready || len(snap.Books.Sinks) != 4 {
		t.Errorf("%+v", snap)
	}
	metricsAgree(t, scrape(t, c), &snap.Books)
	nodeAgrees(t, ns, cfg, &snap.Books)
	recordAgrees(t, filepath.Join(dir, "out"), &snap.Books)
	finalLogAgrees(t, p.stop(t), &snap.Books)
}

// metricsAgree compares a scrape with the books.
func metricsAgree(t *testing.T, got map[string]float64, books *flow.Books) {
	t.Helper()
	same := func(series string, want uint64) {
		if v, ok := got[series]; !ok || v != float64(want) {
			t.Errorf("%s is %v (there: %v), in the books %d", series, v, ok, want)
		}
	}
	k := &books.Sockets[0]
	for name, want := range map[string]uint64{
		"netlink_offered_total": k.Offered, "netlink_received_total": k.Received, "netlink_dropped_total": k.Lost, "events_emitted_total": k.Emitted,
		"events_filtered_total": k.Excluded, "decode_errors_total": k.Malformed, "netlink_foreign_total": k.Foreign, "netlink_rcvbuf_bytes": k.Buffer,
	} {
		same("ctferry_"+name+`{netns=""}`, want)
	}
	for _, e := range books.Events {
		same(fmt.Sprintf("ctferry_events_received_total{event=%q,proto=%q,table=%q}", e.Event, e.Proto, e.Table), e.Count)
	}
	for i := range books.Sinks {
		b := &books.Sinks[i]
		label := fmt.Sprintf("{sink=%q}", b.Name)
		same("ctferry_sink_offered_total"+label, b.Offered)
		same("ctferry_sink_recovered_total"+label, b.Recovered)
		same("ctferry_queue_depth"+label, b.Held)
		same("ctferry_sink_bytes_total"+label, b.Bytes)
		for result, want := range map[string]uint64{"delivered": b.Delivered, "dropped": b.DroppedTotal(), "dead_lettered": b.DeadLettered} {
			same(fmt.Sprintf("ctferry_sink_records_total{result=%q,sink=%q}", result, b.Name), want)
		}
		for _, d := range b.Dropped {
			same(fmt.Sprintf("ctferry_queue_dropped_total{reason=%q,sink=%q}", d.Reason, b.Name), d.Count)
		}
	}
	same("ctferry_books_balanced", 1)
}

// nodeAgrees compares what the node answers over NATS.
func nodeAgrees(t *testing.T, ns *testnet.Namespace, cfg string, books *flow.Books) {
	t.Helper()
	answer := ferryLine(t, ns, 0, "nodes", "edge-1", "--json", "--config", cfg)
	var node nodeReport
	if err := json.Unmarshal([]byte(answer.out), &node); err != nil {
		t.Fatalf("%v in %+v", err, answer)
	}
	k := &books.Sockets[0]
	if len(node.Sockets) != 1 || node.Sockets[0] != (nodeSocket{"", k.Received, k.Lost}) {
		t.Errorf("the node tells %+v, the books %+v", node.Sockets, k)
	}
	told := map[string]nodeSink{}
	for _, s := range node.Sinks {
		told[s.Name] = s
	}
	for i := range books.Sinks {
		b := &books.Sinks[i]
		s := told[b.Name]
		if s.Offered != b.Offered || s.Delivered != b.Delivered || s.Dropped != b.DroppedTotal() || s.DeadLettered != b.DeadLettered || s.Held != b.Held {
			t.Errorf("the node tells %+v, the books %+v", s, b)
		}
	}
}

// recordAgrees compares the last status record of a file, whose sink it names: it
// was written before it was itself delivered.
func recordAgrees(t *testing.T, path string, books *flow.Books) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var last struct {
		Agent struct {
			Sockets []flow.SocketBooks
			Sink    flow.SinkBooks
		}
	}
	for line := range bytes.Lines(text) {
		if bytes.Contains(line, []byte(`"event_type":"status"`)) {
			last.Agent.Sockets = nil
			if err := json.Unmarshal(line, &last); err != nil {
				t.Fatal(err)
			}
		}
	}
	k, now := last.Agent.Sockets, &books.Sockets[0]
	if len(k) != 1 || k[0].Offered != now.Offered || k[0].Received != now.Received || k[0].Lost != now.Lost || k[0].Emitted != now.Emitted || !k[0].Balanced() {
		t.Errorf("the status record tells %+v, the books %+v", k, now)
	}
	for i := range books.Sinks {
		if b, s := &books.Sinks[i], &last.Agent.Sink; b.Name == "file" {
			if !s.Balanced() || s.Name != "file" || s.Offered > b.Offered || s.Offered+1 < b.Offered {
				t.Errorf("the status record tells %+v, the books %+v", s, b)
			}
		}
	}
}

// finalLogAgrees compares the last lines of the log, before which each sink was
// told of the stop by one more record.
func finalLogAgrees(t *testing.T, a accounts, books *flow.Books) {
	t.Helper()
	k := &books.Sockets[0]
	for figure, want := range map[string]uint64{"offered": k.Offered, "received": k.Received, "lost": k.Lost, "emitted": k.Emitted, "excluded": k.Excluded} {
		if got := a.socket(t, "", figure); uint64(got) != want {
			t.Errorf("the log tells %s %d, the books %d", figure, got, want)
		}
	}
	for i := range books.Sinks {
		b := &books.Sinks[i]
		stop := 1
		if b.Name == auditSink {
			stop = 0
		}
		if got := a.sink(t, b.Name, "offered"); got != int(b.Offered)+stop {
			t.Errorf("the log tells of %s %d offered, the books %d", b.Name, got, b.Offered)
		}
		sum := a.sink(t, b.Name, "delivered") + a.sink(t, b.Name, "dropped") + a.sink(t, b.Name, "dead_lettered") + a.sink(t, b.Name, "held")
		if in := a.sink(t, b.Name, "offered") + a.sink(t, b.Name, "recovered"); in != sum {
			t.Errorf("%s: %d came and %d have a fate", b.Name, in, sum)
		}
	}
}

// TestAdminReload moves the port, refuses what it cannot do, and tells of it; a
// second service finds the address in use and says which key.
func TestAdminReload(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	write := func(name, admin string) string {
		return writeFile(t, dir, name, fmt.Sprintf("node: n\nsource: {buffer: {size: 8MiB, max: 8MiB}}\nsinks: {out: {type: file, path: %s/%s.out}}\n%s", dir, name, admin))
	}
	cfg := write("c.yaml", `admin: {listen: "127.0.0.1:9000"}`)
	p := startFerry(t, ns, "run", "-c", cfg)
	c := adminClient(t, ns)
	write("c.yaml", `admin: {listen: "127.0.0.1:9479"}`)
	p.sighup(t, reloaded)
	waitFor(t, "the new address to answer", func() bool {
		_, status := fetch(t, c, "/readyz")
		return status == http.StatusOK
	})
	ferryLine(t, ns, 0, "run", "-c", write("d.yaml", `admin: {listen: "127.0.0.1:9479"}`)).want(t, exitError, "admin.listen: 127.0.0.1:9479 is in use by another process")
	for admin, why := range map[string]string{
		"": "a change of admin.listen needs a restart",
		`admin: {listen: "127.0.0.1:9479", tls: {cert_file: /none, key_file: /none}}`: "admin.tls.cert_file: open /none",
	} {
		write("c.yaml", admin)
		if said := p.sighup(t, notReloaded); !strings.Contains(fmt.Sprint(said["err"]), why) {
			t.Errorf("%v, expected %s", said, why)
		}
		snap := adminStats(t, c)
		if snap.Reload.OK || !strings.Contains(snap.Reload.Error, why) || snap.Reload.Reloads != snap.Reload.Failed+1 || len(snap.Errors) != 1 || snap.Errors[0].Part != "configuration" {
			t.Errorf("told: %+v, %+v", snap.Reload, snap.Errors)
		}
	}
	if m := scrape(t, c); m["ctferry_config_reload_success"] != 0 || m[`ctferry_config_reloads_total{result="failed"}`] != 2 || m[`ctferry_config_reloads_total{result="ok"}`] != 1 {
		t.Errorf("metrics of reloads: %v", m)
	}
	p.stop(t)
}
