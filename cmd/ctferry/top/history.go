package top

import (
	"github.com/ctferry/ctferry/internal/admin"
	"github.com/ctferry/ctferry/source/flow"
)

// maxPast is over how many readings, and rateSpan over how many seconds, rates
// are measured, as the admin port does.
const (
	maxPast  = 16
	rateSpan = 5.0
)

// history makes rates of what a node told before. The node's own uptime is the
// clock: it does not jump, and no way to the node is in it.
type history struct{ past []*admin.Snapshot }

// add gives a snapshot its rates, and keeps it.
func (h *history) add(s *admin.Snapshot) {
	if n := len(h.past); n > 0 && (h.past[n-1].Run != s.Run || h.past[n-1].Uptime > s.Uptime) {
		h.past = nil // another run: its books begin anew
	}
	for len(h.past) > 1 && (len(h.past) >= maxPast || s.Uptime-h.past[1].Uptime >= rateSpan) {
		h.past = h.past[1:]
	}
	if len(h.past) > 0 {
		s.Rates = rates(h.past[0], s)
		s.Buffers = buffers(h.past[0], s)
	} else {
		s.Buffers = buffers(nil, s)
	}
	if n := len(h.past); n == 0 || h.past[n-1].Uptime < s.Uptime { // the node tells the same again within a second
		h.past = append(h.past, s)
	}
}

// rates is how fast the books grew; nil if no time passed.
func rates(was, is *admin.Snapshot) *admin.Rates {
	span := is.Uptime - was.Uptime
	if span <= 0 {
		return nil
	}
	per := func(before, now uint64) float64 {
		if now < before { // a namespace or a sink is gone
			return 0
		}
		return float64(now-before) / span
	}
	before, now := total(was.Books.Sockets), total(is.Books.Sockets)
	r := &admin.Rates{
		Seconds: span, Offered: per(before.Offered, now.Offered), Received: per(before.Received, now.Received),
		Lost: per(before.Lost, now.Lost), Emitted: per(before.Emitted, now.Emitted),
	}
	old := map[string]*flow.SinkBooks{}
	for i := range was.Books.Sinks {
		old[was.Books.Sinks[i].Name] = &was.Books.Sinks[i]
	}
	for i := range is.Books.Sinks {
		b := &is.Books.Sinks[i]
		if o := old[b.Name]; o != nil { // of a new one nothing is known yet
			r.Sinks = append(r.Sinks, admin.SinkRate{Name: b.Name, Offered: per(o.Offered, b.Offered), Delivered: per(o.Delivered, b.Delivered),
				Dropped: per(o.DroppedTotal(), b.DroppedTotal()), Bytes: per(o.Bytes, b.Bytes)})
		}
	}
	return r
}

func total(sockets []flow.SocketBooks) (sum flow.SocketBooks) {
	for i := range sockets {
		sum.Offered += sockets[i].Offered
		sum.Received += sockets[i].Received
		sum.Lost += sockets[i].Lost
		sum.Emitted += sockets[i].Emitted
	}
	return sum
}

// buffers tells how full each buffer is, and for how long its room lasts.
func buffers(was, is *admin.Snapshot) (all []admin.Buffer) {
	offered := map[string]uint64{}
	if was != nil {
		for i := range was.Books.Sockets {
			offered[was.Books.Sockets[i].NetNS] += was.Books.Sockets[i].Offered
		}
	}
	for i := range is.Books.Sockets {
		b := &is.Books.Sockets[i]
		if b.Buffer == 0 {
			continue // its namespace is gone
		}
		one := admin.Buffer{NetNS: b.NetNS, Size: b.Buffer, Queued: b.Queued}
		if before, ok := offered[b.NetNS]; ok && b.Offered > before && is.Uptime > was.Uptime {
			rate := float64((b.Offered-before)*is.EventCost) / (is.Uptime - was.Uptime)
			left := float64(b.Buffer-min(b.Queued, b.Buffer)) / rate
			one.Headroom = &left
		}
		all = append(all, one)
	}
	return all
}
