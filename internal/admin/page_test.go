package admin

import (
	"fmt"
	"log/slog"
	"math"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// hostile is what no name should be, and nobody keeps an error from being.
const hostile = `<img src=x onerror="document.title='owned'"><script>alert(1)</script>&lt;b&gt;`

// scene is a service in some state, at a time of its life.
type scene struct {
	begun time.Time
	ill   bool // a sink is dead, events are lost, the table and the spool are nearly full
}

// snapshot has traffic that rises and falls.
func (c scene) snapshot() *Snapshot {
	age := time.Since(c.begun).Seconds() + 3700
	s := sample()
	s.Started, s.Uptime, s.Version, s.Kernel = c.begun.Add(-3700*time.Second), age, "1.0.0", "6.12.9"
	s.BufferMax, s.Run = 256<<20, "0bab7f99502f47d240f832b9bc2b1388"
	s.Certificates, s.Errors, s.Warnings = nil, nil, nil
	var total uint64
	s.Books.Events = nil
	for i, e := range []string{"new", "update", "destroy"} {
		for j, p := range []string{"tcp", "udp", "icmp", "icmpv6", "sctp", "dccp", "gre", "other"} {
			per := []float64{2600, 1900, 240, 60, 12, 0, 0, 3}[j] * []float64{1, 1.6, .96}[i]
			n := uint64(per * (age + 3*math.Sin(age/float64(4+i+j))))
			s.Books.Events = append(s.Books.Events, flow.EventCount{Table: "conntrack", Event: e, Proto: p, Count: n})
			total += n
		}
	}
	s.Books.Sockets = []flow.SocketBooks{{Offered: total, Received: total, Emitted: total, Buffer: 64 << 20, Queued: 900 << 10}}
	s.Tables = []flow.TableFill{{Entries: 48211, Max: 262144}}
	s.Books.Sinks, s.Sinks = nil, nil
	for i, k := range []Sink{{Name: "archive", Type: "file", Encoding: "json"}, {Name: "bus", Type: "nats", Encoding: "protobuf"}, {Name: "siem", Type: "kafka", Encoding: "json"}} {
		b := flow.SinkBooks{Name: k.Name, Offered: total, Delivered: total - uint64(40*i), Held: uint64(40 * i), Bytes: total * uint64(640-200*(i%2)), Up: true}
		k.LastSuccess, k.Writes, k.Memory = s.Time, 9, 32<<20
		s.Books.Sinks, s.Sinks = append(s.Books.Sinks, b), append(s.Sinks, k)
	}
	s.Spool = &Spool{Bytes: 800 << 20, Max: 10 << 30, Free: 90 << 30, Segments: 50}
	if c.ill {
		c.spoil(s, total)
	}
	return s
}

func (c scene) spoil(s *Snapshot, total uint64) {
	age := uint64(time.Since(c.begun).Seconds())
	k, b := &s.Books.Sockets[0], &s.Books.Sinks[2]
	k.Lost = 1200 + 50*age
	k.Offered += k.Lost
	k.Queued = 60 << 20
	*b = flow.SinkBooks{Name: "siem", Offered: total, Delivered: total / 2, Held: total / 4, Dropped: []flow.Drop{{Reason: "spool_full", Count: total - total/2 - total/4}}, LastError: hostile}
	s.Sinks[2].LastError, s.Sinks[2].LastSuccess, s.Sinks[2].Oldest = s.Time, s.Time.Add(-time.Hour), s.Time.Add(-time.Hour)
	s.Tables[0].Entries = 251000
	s.Spool.Bytes = 9900 << 20
	s.Node = "edge-1 " + hostile
	s.Errors = []Failure{{s.Time, "sink siem", hostile}}
	s.Reload = Reload{Error: hostile, Time: s.Time}
	s.Certificates = []Certificate{{Key: "sinks.siem.tls.cert_file", NotAfter: s.Time.Add(50 * time.Hour)}}
	s.Warnings = []string{"new flows have no packet and byte counters: sysctl -w net.netfilter.nf_conntrack_acct=1"}
}

// show serves a scene.
func show(t *testing.T, ill *atomic.Bool) *port {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	begun := time.Now()
	p := &port{t: t}
	var err error
	p.Server, err = Listen(cfg, func() *Snapshot { return scene{begun, ill.Load()}.snapshot() }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	p.start()
	p.base = "http://" + p.Addr().String()
	return p
}

// TestPageInABrowser looks at the page, well and ill, wide and narrow, light and
// dark: it tells what there is, escapes what is hostile, asks nobody else, and
// never needs to be scrolled sideways.
func TestPageInABrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	var ill atomic.Bool
	p := show(t, &ill)
	b.look(p.base+"/", 1440, "light")
	b.waits("rates", `/[1-9]/.test(document.getElementById("rate").textContent)`)
	b.waits("the verdict", `document.getElementById("verdict").textContent === "All is well"`)
	contains(t, b.text(), "edge-1", "ctferry 1.0.0, Linux 6.12.9, up 61 min", "nothing lost by the kernel", "of headroom", "1.4 % of 64.0 MiB, may grow to 256 MiB",
		"48,211 of 262,144 entries", "archive", "kafka, json", "icmpv6", "Nothing: no loss, no errors.")
	if text := b.text(); strings.Contains(text, "NaN") || strings.Contains(text, "undefined") || strings.Contains(text, "gre") {
		t.Errorf("the page is\n%s", text)
	}
	if *shots != "" {
		time.Sleep(30 * time.Second) // for curves
	}
	b.everyShape(p.base+"/", "well")
	ill.Store(true)
	b.waits("the bad news", `document.getElementById("verdict").textContent === "Losing events"`)
	contains(t, b.text(), hostile, "down", "last success 60 min ago", "not delivered", "spool_full", "The last reload failed", "expires in 2 d", "nf_conntrack_acct=1", "The kernel drops events")
	if n := eval[int](b, `document.querySelectorAll("img, script").length`); n != 1 {
		t.Errorf("%d scripts and images, expected the page's own script", n)
	}
	b.everyShape(p.base+"/", "ill")
	b.clean(p.base)
}

// everyShape looks at the page in each width and scheme.
func (b *browser) everyShape(url, name string) {
	b.t.Helper()
	paper := map[string]bool{}
	for _, width := range []int64{1440, 390} {
		for _, scheme := range []string{"light", "dark"} {
			b.shape(width, scheme)
			if n := eval[int64](b, "document.documentElement.scrollWidth"); n > width {
				b.t.Errorf("%s: %d wide on a screen of %d", name, n, width)
			}
			paper[eval[string](b, "getComputedStyle(document.body).backgroundColor")] = true
			b.shot(fmt.Sprintf("%s-%d-%s", name, width, scheme))
		}
	}
	if len(paper) != 2 {
		b.t.Errorf("light and dark are %v", paper)
	}
	unnamed := `[...document.querySelectorAll("[role=meter]:not([hidden])")].filter((e) => !e.getAttribute("aria-label") || e.getAttribute("aria-valuenow") === null).length`
	if n := eval[int](b, unnamed); n != 0 {
		b.t.Errorf("%d meters say nothing to who does not see them", n)
	}
	if n := eval[int](b, `document.querySelectorAll("h1").length`); n != 1 {
		b.t.Errorf("%d headings of the first rank", n)
	}
}

// TestPageWithoutAServer says that its figures are old.
func TestPageWithoutAServer(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	var ill atomic.Bool
	p := show(t, &ill)
	mirror := httptest.NewServer(p.http.Handler)
	b.look(mirror.URL+"/", 800, "light")
	b.waits("the verdict", `document.getElementById("verdict").textContent === "All is well"`)
	mirror.CloseClientConnections()
	mirror.Close()
	b.waits("a word of it", `document.getElementById("verdict").textContent.startsWith("No answer for")`)
}

// TestPageIsSelfContained names nothing outside, and fits its own policy.
func TestPageIsSelfContained(t *testing.T) {
	p := newPage()
	for _, bad := range []string{"src=", "@import", "url(", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "onclick", "onload", " style=", "/*STYLE*/", "/*SCRIPT*/"} {
		if strings.Contains(p.text, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	if len(p.text) > 64<<10 {
		t.Errorf("%d bytes are not small", len(p.text))
	}
	rest := strings.ReplaceAll(p.text, "http://www.w3.org/2000/svg", "")
	if strings.Contains(rest, "http:") || strings.Contains(rest, "https:") {
		t.Error("the page names another place")
	}
}
