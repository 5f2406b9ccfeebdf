package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
)

// TestShardsInService reads a namespace by three sockets: the file has each flow's
// events once and in their order, the accounts and the metrics are one namespace's,
// and another number of shards needs a restart.
func TestShardsInService(t *testing.T) {
	ns, dir := loadedNamespace(t), t.TempDir()
	config := func(shards int) string {
		return fmt.Sprintf("source: {buffer: {size: 8MiB, max: 8MiB}, shards: %d}\nsinks:\n  out: {type: file, path: %s/out, rotate: {size: 0}}\nadmin: {listen: \"127.0.0.1:9479\"}\n", shards, dir)
	}
	p := startFerry(t, ns, "run", "-c", writeFile(t, dir, "c.yaml", config(3)))
	const flows = 2000
	if _, err := (testnet.Churn{NS: ns, Entries: flows, Update: true, Rate: 40_000}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := adminClient(t, ns)
	waitFor(t, "all events", func() bool {
		books := adminStats(t, c).Books.Sockets
		return len(books) == 1 && books[0].Received == 3*flows
	})
	series := slices.DeleteFunc(slices.Collect(maps.Keys(scrape(t, c))), func(s string) bool { return !strings.HasPrefix(s, "ctferry_netlink_offered_total") })
	if len(series) != 1 {
		t.Errorf("series %v", series)
	}
	writeFile(t, dir, "c.yaml", config(2))
	if e := p.sighup(t, notReloaded); !strings.Contains(e["err"].(string), "source needs a restart") {
		t.Errorf("another number of shards is refused with %v", e)
	}
	books := p.stop(t)
	if offered, lost := books.socket(t, "", "offered"), books.socket(t, "", "lost"); offered != 3*flows || lost != 0 {
		t.Errorf("%d offered, %d lost", offered, lost)
	}
	lives := map[string]string{}
	var seq uint64
	for _, r := range records(t, filepath.Join(dir, "out")) {
		if seq++; r.Seq != seq {
			t.Fatalf("record %d has sequence number %d", seq, r.Seq)
		}
		if r.FlowID != "" {
			lives[r.FlowID] += r.Type + " "
		}
	}
	for id, life := range lives {
		if life != "new update destroy " {
			t.Errorf("flow %s: %s", id, life)
		}
	}
	if len(lives) != flows {
		t.Errorf("%d flows, want %d", len(lives), flows)
	}
}
