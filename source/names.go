package source

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ctferry/ctferry/source/flow"
)

// connlabelConf names the label bits, one "bit name" a line (libxt_connlabel).
const connlabelConf = "/etc/xtables/connlabel.conf"

// maxCached bounds each of the caches below; a full one starts again, empty.
const maxCached = 1024

// labelNames turns label bits into their names.
type labelNames struct {
	byBit [128]string
	any   bool
	seen  map[[16]byte][]string
}

// loadLabelNames reads the file; one that is absent or odd names nothing.
func loadLabelNames(path string) *labelNames {
	l := &labelNames{seen: map[[16]byte][]string{}}
	f, err := os.Open(path)
	if err != nil {
		return l
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		line, _, _ := strings.Cut(sc.Text(), "#")
		words := strings.Fields(line)
		if len(words) != 2 {
			continue
		}
		if bit, err := strconv.ParseUint(words[0], 0, 8); err == nil && bit < 128 {
			l.byBit[bit], l.any = words[1], true
		}
	}
	return l
}

func (l *labelNames) stamp(b *flow.Batch, e *flow.Event) {
	if !l.any || e.Labels == [16]byte{} {
		return
	}
	names, ok := l.seen[e.Labels]
	if !ok {
		if len(l.seen) >= maxCached {
			clear(l.seen)
		}
		names = l.list(e.Labels)
		l.seen[e.Labels] = names
	}
	if len(names) > 0 {
		b.ExtraFor(e).LabelNames = names
		e.Has |= flow.HasLabelNames
	}
}

func (l *labelNames) list(labels [16]byte) []string {
	var names []string
	for bit, name := range l.byBit {
		if name != "" && labels[bit/8]>>(bit%8)&1 == 1 {
			names = append(names, name)
		}
	}
	return names
}

// progNames finds the command behind a netlink port. By convention a process's
// first netlink socket has its process id as its port; for others there is no name.
type progNames struct {
	seen  map[uint32]string
	until int64 // process ids are used again, so names are forgotten

	port uint32 // the last one that was asked for: a process makes many events
	name string // its name; port 0 is the kernel's and never asked for
}

// progNamesKept is how long a name is believed.
const progNamesKept = 10 * time.Second

func newProgNames() *progNames { return &progNames{seen: map[uint32]string{}} }

func (p *progNames) stamp(b *flow.Batch, e *flow.Event, now int64) {
	if now > p.until || now < p.until-int64(progNamesKept) || len(p.seen) >= maxCached { // or the clock was set back
		clear(p.seen)
		p.until, p.port, p.name = now+int64(progNamesKept), 0, ""
	}
	if e.PortID != p.port {
		p.port, p.name = e.PortID, p.find(e.PortID)
	}
	if p.name != "" {
		b.ExtraFor(e).ProgName = p.name
		e.Has |= flow.HasProgName
	}
}

// find gives a port's name, "" where it has none.
func (p *progNames) find(port uint32) string {
	name, ok := p.seen[port]
	if !ok {
		name = commandName(port)
		p.seen[port] = name
	}
	return name
}

func commandName(pid uint32) string {
	if pid > 1<<22 { // PID_MAX_LIMIT: no process has it
		return ""
	}
	comm, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(pid), 10) + "/comm")
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(comm), "\n")
}
