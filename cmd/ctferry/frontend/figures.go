package frontend

import (
	"context"
	"strconv"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// figures carries out -C and -S.
func (r *run) figures(ctx context.Context, q *control.Request) int {
	answers, err := r.hosts.Call(ctx, q, nil)
	p := newPrinter(r.Front, r.cmd, r.hosts.Several())
	for i := range answers {
		if a := &answers[i]; a.Err == nil && a.Result != nil {
			p.figures(a)
		}
	}
	if err := p.close(); err != nil {
		return r.unwritten(err)
	}
	return r.judge(answers, err)
}

// figures prints the count or the counters of a host.
func (p *printer) figures(a *control.Answer) {
	node := ""
	if p.named {
		node = plain(a.Node)
	}
	if a.Result.CPUs == nil {
		n := a.Result.Count
		if a.Result.Fill != nil {
			n = uint64(a.Result.Fill.Entries)
		}
		p.end(node, strconv.AppendUint(p.buf, n, 10))
		return
	}
	for i := range a.Result.CPUs {
		cpu := &a.Result.CPUs[i]
		p.end(node, encode.AppendStats(p.buf, cpu.CPU, counters(cpu)))
	}
}

func counters(cpu *flow.CPUStats) (stats []encode.Stat) {
	for _, s := range cpu.Present() {
		v, _ := cpu.Get(s)
		stats = append(stats, encode.Stat{Name: s.String(), Value: v})
	}
	return stats
}
