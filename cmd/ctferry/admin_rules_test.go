package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/ctferry/ctferry/internal/natsconn/natstest"
)

const (
	alertsFile    = "../../configs/prometheus/alerts.yaml"
	dashboardFile = "../../configs/grafana/ctferry.json"
)

// fullConfig has everything on that has a metric of its own.
const fullConfig = adminConfig + `
source: {buffer: {size: 8MiB, max: 8MiB}, track: true}
`

// fullScrape is what a service tells that has everything, with traffic.
func fullScrape(t *testing.T) (series []labels.Labels) {
	t.Helper()
	ns, dir := loadedNamespace(t), t.TempDir()
	text := strings.Replace(fmt.Sprintf(fullConfig, dir, "", ""), "source: {buffer: {size: 8MiB, max: 8MiB}}\n", "", 1)
	cert := natstest.NewAuthority(t).CAFile
	text = strings.Replace(text, "topic: t,", "topic: t, tls: {ca_file: "+cert+"},", 1)
	cfg := writeFile(t, dir, "c.yaml", text)
	p := startFerry(t, ns, "run", "-c", cfg)
	p.served(t)
	ferryLine(t, ns, 0, "-C", "--node", "edge-1", "--config", cfg).want(t, exitOK, "0\n")
	c := adminClient(t, ns)
	waitFor(t, "traffic that a rate is told of", func() bool {
		churn(t, ns, 100)
		return slices.ContainsFunc(slices.Collect(maps.Keys(scrape(t, c))), func(s string) bool { return strings.HasPrefix(s, "ctferry_netlink_headroom_seconds") })
	})
	for name := range scrape(t, c) {
		metric, err := parser.NewParser(parser.Options{}).ParseMetric(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		series = append(series, metric)
	}
	if _, status := fetch(t, c, "/readyz"); status != http.StatusOK {
		t.Errorf("not ready: %d", status)
	}
	p.stop(t)
	return series
}

// TestAlertsAndDashboardNameWhatThereIs holds every series that a rule or a panel
// names to what a running service tells.
func TestAlertsAndDashboardNameWhatThereIs(t *testing.T) {
	exprs := alertExprs(t)
	maps.Copy(exprs, panelExprs(t))
	series := fullScrape(t)
	for where, expr := range exprs {
		for _, fault := range unknownSeries(t, expr, series) {
			t.Errorf("%s: %s", where, fault)
		}
	}
	if f := unknownSeries(t, `rate(ctferry_nothing[5m]) + ctferry_sink_up{snk="a"} + ctferry_sink_records_total{result="lost"}`, series); len(f) != 3 {
		t.Errorf("the test finds %v", f)
	}
	t.Logf("%d expressions, %d series", len(exprs), len(series))
}

// alertExprs reads the rules as Prometheus does.
func alertExprs(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
	exprs := map[string]string{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			exprs["alert "+r.Alert] = r.Expr
			if r.Annotations["summary"] == "" || r.Labels["severity"] != "critical" && r.Labels["severity"] != "warning" {
				t.Errorf("alert %s has no summary or severity", r.Alert)
			}
		}
	}
	for _, wanted := range []string{"EventsLost", "TableFull", "SinkDown", "ReloadFailed", "CertificateExpiring", "SpoolNearCap", "ReaderStalled"} {
		if exprs["alert Ctferry"+wanted] == "" {
			t.Errorf("there is no alert Ctferry%s", wanted)
		}
	}
	return exprs
}

// panelExprs reads the dashboard: every panel has a place of its own and asks the
// data source that the reader chose.
func panelExprs(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		UID    string
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     struct{ X, Y, W, H int }
			Targets     []struct {
				Expr       string
				Datasource struct{ UID string }
			}
		}
	}
	if err := json.Unmarshal(text, &board); err != nil || board.UID != "ctferry" || len(board.Panels) < 20 {
		t.Fatalf("%v: %+v", err, board)
	}
	exprs, cells, ids := map[string]string{}, map[[2]int]string{}, map[int]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] || p.Title == "" || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d, %q, is twice, has no title or asks nothing", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
					t.Errorf("panel %q lies over %q or beyond the edge", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		for i, target := range p.Targets {
			exprs[fmt.Sprintf("panel %s %d", p.Title, i)] = target.Expr
			if target.Datasource.UID != "${datasource}" {
				t.Errorf("panel %s asks %s", p.Title, target.Datasource.UID)
			}
		}
	}
	return exprs
}

// unknownSeries says what an expression names that no series has.
func unknownSeries(t *testing.T, text string, series []labels.Labels) (faults []string) {
	t.Helper()
	text = strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h", "$instance", ".+", "$job", ".+").Replace(text)
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return []string{err.Error()}
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok || selector.Name == "up" { // Prometheus's own
			return nil
		}
		// job and instance are Prometheus's words for where it asked.
		if !slices.ContainsFunc(series, func(s labels.Labels) bool {
			whole := labels.NewBuilder(s).Set("job", "ctferry").Set("instance", "edge-1:9479").Labels()
			for _, m := range selector.LabelMatchers {
				if m.Name != labels.MetricName && !whole.Has(m.Name) || !m.Matches(whole.Get(m.Name)) {
					return false
				}
			}
			return true
		}) {
			faults = append(faults, "there is no "+selector.String())
		}
		return nil
	})
	return faults
}
