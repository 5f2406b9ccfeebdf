package admin

import (
	"slices"

	"github.com/ctferry/ctferry/source/flow"
)

// rates is how fast the books grew between two snapshots; nil if no time passed.
func rates(was, is *Snapshot) *Rates {
	span := is.Time.Sub(was.Time).Seconds()
	if span <= 0 {
		return nil
	}
	per := func(before, now uint64) float64 {
		if now < before {
			return 0 // a namespace or a sink is gone
		}
		return float64(now-before) / span
	}
	r := &Rates{Seconds: span, Events: []EventRate{}, Sinks: []SinkRate{}}
	before, now := total(&was.Books), total(&is.Books)
	r.Offered, r.Received = per(before.Offered, now.Offered), per(before.Received, now.Received)
	r.Lost, r.Emitted = per(before.Lost, now.Lost), per(before.Emitted, now.Emitted)
	for i, e := range is.Books.Events {
		var earlier uint64
		if i < len(was.Books.Events) { // every kind is listed, in one order
			earlier = was.Books.Events[i].Count
		}
		r.Events = append(r.Events, EventRate{e.Table, e.Event, e.Proto, per(earlier, e.Count)})
	}
	for i := range is.Books.Sinks {
		b := &is.Books.Sinks[i]
		var o flow.SinkBooks
		for j := range was.Books.Sinks {
			if was.Books.Sinks[j].Name == b.Name {
				o = was.Books.Sinks[j]
			}
		}
		r.Sinks = append(r.Sinks, SinkRate{b.Name, per(o.Offered, b.Offered), per(o.Delivered, b.Delivered),
			per(o.DroppedTotal(), b.DroppedTotal()), per(o.Bytes, b.Bytes)})
	}
	return r
}

// total sums the accounts of all sockets.
func total(b *flow.Books) (sum flow.SocketBooks) {
	for i := range b.Sockets {
		s := &b.Sockets[i]
		sum.Offered += s.Offered
		sum.Received += s.Received
		sum.Lost += s.Lost
		sum.Emitted += s.Emitted
	}
	return sum
}

// buffers tells how full each buffer is, and how long its room lasts at the rate
// at which its socket was offered events since an earlier snapshot. A socket
// whose namespace is gone has none.
func buffers(was, is *Snapshot) []Buffer {
	all := []Buffer{}
	span := 0.0
	if was != nil {
		span = is.Time.Sub(was.Time).Seconds()
	}
	for _, socket := range byNamespace(is.Books.Sockets) {
		b := &socket
		if b.Buffer == 0 {
			continue
		}
		one := Buffer{NetNS: b.NetNS, Size: b.Buffer, Queued: b.Queued}
		if rate := bytesPerSecond(was, b, is.EventCost, span); rate > 0 {
			left := float64(b.Buffer-min(b.Queued, b.Buffer)) / rate
			one.Headroom = &left
		}
		all = append(all, one)
	}
	return all
}

func bytesPerSecond(was *Snapshot, b *flow.SocketBooks, cost uint64, span float64) float64 {
	if was == nil || span <= 0 {
		return 0
	}
	for _, o := range byNamespace(was.Books.Sockets) {
		if o.NetNS == b.NetNS && o.Offered <= b.Offered {
			return float64((b.Offered-o.Offered)*cost) / span
		}
	}
	return 0
}

// byNamespace folds the accounts of one namespace: one that went and came again
// has two, of which the first is the one that is read now.
func byNamespace(sockets []flow.SocketBooks) []flow.SocketBooks {
	var all []flow.SocketBooks
	for i := range sockets {
		b := &sockets[i]
		at := slices.IndexFunc(all, func(o flow.SocketBooks) bool { return o.NetNS == b.NetNS })
		if at < 0 {
			all = append(all, *b)
			continue
		}
		sum := &all[at]
		sum.Offered += b.Offered
		sum.Received += b.Received
		sum.Lost += b.Lost
		sum.Emitted += b.Emitted
		sum.Excluded += b.Excluded
		sum.Malformed += b.Malformed
		sum.Foreign += b.Foreign
		sum.Growths += b.Growths
		sum.LetGo += b.LetGo
		sum.LastSeq = max(sum.LastSeq, b.LastSeq)
		sum.Track.Add(&b.Track)
	}
	return all
}
