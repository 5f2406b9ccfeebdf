package source

import "github.com/ctferry/ctferry/source/flow"

// observe shows the batch to the tracker, in order and the excluded events too,
// and leaves those that the configuration wants. Where a NEW proves that the end
// of the flow before it was lost, that end is put before it; how many such
// records the batch holds is the answer. Source.mu is held.
func (k *socket) observe(now int64) (inferred uint64) {
	b := k.batch
	filter := k.src.cfg.Filter
	all, looked := true, false
	for i := 0; i < b.Len(); i++ {
		e := &b.Events()[i]
		e.Origin = k.origin
		wanted := filter == nil || filter.Match(e)
		all = all && wanted
		identify(e)
		if !nameable(e) {
			k.verdicts[i] = wanted
			continue
		}
		p := k.track.table.find(e)
		if e.Type == flow.TypeNew && k.track.alive(p) {
			if !looked { // the loss may not be in the books yet
				looked = true
				k.settle()
			}
			if n := k.lostEnd(i, p, timeOf(e, now)); n > 0 {
				inferred += uint64(n)
				i += n
				e = &b.Events()[i]
			}
		}
		k.track.see(p, e, wanted, now)
		k.verdicts[i] = wanted
	}
	if !all {
		i := -1
		b.Keep(func(*flow.Event) bool {
			i++
			return k.verdicts[i]
		})
	}
	k.books.Track.Synthetic += inferred
	return inferred
}

// lostEnd ends the flow at p, in whose place event i tells of another, and puts
// what was not told of it before that event, as far as the filter wants it; it
// answers how many records. Where events are repeated, in reliable mode, and where
// none is missing, a second NEW is no proof of an end.
func (k *socket) lostEnd(i int, p place, at int64) (n int) {
	if _, yes := k.track.incomplete(); !yes || k.src.cfg.Reliable || !k.track.replaces(p, &k.batch.Events()[i]) {
		return 0
	}
	k.synthetic.Reset()
	k.track.lostEnd(p, k.synthetic, at)
	k.src.keep(k.synthetic, k.origin)
	for j := range k.synthetic.Events() {
		slot := k.batch.Insert(i + n)
		if slot == nil {
			break
		}
		*slot = k.synthetic.Events()[j]
		k.verdicts[i+n] = true
		n++
	}
	return n
}
