package doctor

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// Answers are what brokers, disks and files told about a Plan.
type Answers struct {
	brokers, dirs, certs, ports, node []Finding
}

// The bounds of asking.
const (
	patience = 10 * time.Second // for one broker
	atOnce   = 8                // brokers
)

// Ask asks everything that a plan names and that is not the kernel. It takes as
// long as the slowest broker, at most ten seconds for each eight of them; an
// answer that does not come is a finding. Ferries are the processes of this
// program that run already (Host.Ferries): what they hold is theirs by right.
func Ask(ctx context.Context, p *Plan, ferries []int) *Answers {
	a := &Answers{
		dirs:  eachFinding(p.Dirs, func(d *Directory) []Finding { return d.look() }),
		certs: eachFinding(p.Certs, func(c *Certificate) []Finding { return c.look(time.Now()) }),
		ports: eachFinding(p.Ports, func(t *Port) []Finding { return t.look(ferries) }),
	}
	found := make([][]Finding, len(p.Brokers))
	var all errgroup.Group
	all.SetLimit(atOnce)
	for i := range p.Brokers {
		all.Go(func() error {
			found[i] = p.Brokers[i].ask(ctx)
			return nil
		})
	}
	if p.Node != nil {
		all.Go(func() error {
			a.node = p.Node.ask(ctx, ferries)
			return nil
		})
	}
	_ = all.Wait() // none fails
	for _, f := range found {
		a.brokers = append(a.brokers, f...)
	}
	return a
}

func eachFinding[T any](all []T, look func(*T) []Finding) (found []Finding) {
	for i := range all {
		found = append(found, look(&all[i])...)
	}
	return found
}

// ask asks one broker.
func (b *Broker) ask(ctx context.Context) []Finding {
	if b.Probe == nil {
		return []Finding{{Subject: b.Key, Found: b.Where}}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	problems := b.Probe.Probe(ctx)
	if len(problems) == 0 {
		return []Finding{{Subject: b.Key, Found: b.Where + ": would be taken"}}
	}
	var all []Finding
	for _, p := range problems {
		all = append(all, Finding{Severity: p.Severity, Subject: b.Key, Found: b.Where + ": " + p.Text, Fix: p.Fix})
	}
	return all
}
