package source

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/ctferry/ctferry/source/ctnetlink"
	"github.com/ctferry/ctferry/source/flow"
)

// In reliable mode the kernel keeps a flow whose DESTROY found no room, and
// counts it in the table. While the reader stands still that fills the table,
// and a full one drops packets. So the mode is given up when the table is
// letGoFill full, or when that cannot be told for blindFor, and comes back when
// the table is no fuller than resumeFill, the receive buffer has room again, and
// it has been off for offFor.
const (
	letGoFill  = 0.80
	resumeFill = 0.60
	offFor     = 30 * time.Second
	blindFor   = 5 * time.Second
)

// The table is measured as often as it takes for it not to fill in between:
// fastest is more entries a second than the kernel was ever seen to make. A
// measurement is one request (IPCTNL_MSG_CT_GET_STATS) on a socket that stays
// open, some 10 µs.
const (
	fastest    = 500_000
	oftenest   = 5 * time.Millisecond
	seldomest  = 250 * time.Millisecond
	fillAnswer = time.Second
)

// reliable is whether the kernel keeps DESTROY events for a socket. Nothing here
// waits for Source.mu: a reader that stands still may hold it.
type reliable struct {
	on    atomic.Bool
	letGo atomic.Uint64 // times that it was given up
}

// verdict is the rule by which the mode goes off and on.
type verdict struct {
	on      bool
	changed time.Time // when it went off last
	told    time.Time // when the fill was known last
}

// judge takes a measurement: fill of the table and of the receive buffer, 0 to
// 1, or known false.
func (v *verdict) judge(fill, queue float64, known bool, now time.Time) (change bool) {
	if known {
		v.told = now
	}
	switch {
	case v.on && (known && fill >= letGoFill || now.Sub(v.told) >= blindFor):
		v.on, v.changed = false, now
		return true
	case !v.on && known && fill <= resumeFill && queue < 0.25 && now.Sub(v.changed) >= offFor:
		v.on = true
		return true
	}
	return false
}

// pauseFor is how long the table surely stays below its mark.
func pauseFor(t flow.TableFill) time.Duration {
	room := float64(t.Max)*letGoFill - float64(t.Entries)
	wait := time.Duration(room / fastest * float64(time.Second))
	return min(max(wait, oftenest), seldomest)
}

// guardTable watches the table of a reliable socket until ctx ends.
func (k *socket) guardTable(ctx context.Context) {
	m := meter{dial: k.dial}
	defer m.close()
	v := verdict{on: true, told: time.Now()}
	for {
		fill, err := m.read(ctx)
		if ctx.Err() != nil {
			return
		}
		if v.judge(float64(fill.Entries)/float64(max(fill.Max, 1)), k.fill(), err == nil, time.Now()) {
			if !k.setReliable(v.on, fill, err) {
				v.on = !v.on // tried again with the next measurement
			}
		}
		wait := seldomest
		if err == nil {
			wait = pauseFor(fill)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// setReliable turns the mode off or on and says so: in the log, in the books, and
// in a status record at once.
func (k *socket) setReliable(on bool, fill flow.TableFill, cause error) bool {
	for _, o := range k.shards {
		if err := o.listener.SetReliable(on); err != nil {
			k.src.log.Error("cannot change reliable mode", "netns", k.ns.String(), "on", on, "err", err)
			return false
		}
		o.reliable.on.Store(on)
	}
	if on {
		k.src.log.Info("reliable mode is on again", "netns", k.ns.String(), "entries", fill.Entries, "max", fill.Max)
	} else {
		k.reliable.letGo.Add(1)
		k.src.log.Warn("reliable mode is off: the conntrack table is filling", "netns", k.ns.String(),
			"entries", fill.Entries, "max", fill.Max, "err", cause, "help", "find out what holds the reader up, or raise net.netfilter.nf_conntrack_max")
	}
	select {
	case k.src.news <- "reliable":
	default: // one is on its way
	}
	return true
}

// meter asks one namespace how full its table is, on a socket that stays open.
type meter struct {
	dial func() (*ctnetlink.Conn, error)
	conn *ctnetlink.Conn
}

func (m *meter) read(ctx context.Context) (fill flow.TableFill, err error) {
	if m.conn == nil {
		if m.conn, err = m.dial(); err != nil {
			return fill, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, fillAnswer)
	defer cancel()
	if fill, err = m.conn.Stats(ctx); err != nil {
		m.close()
	}
	return fill, err
}

func (m *meter) close() {
	if m.conn != nil {
		_ = m.conn.Close() // nothing was written
		m.conn = nil
	}
}

// parkedPatience bounds the wait for what the kernel keeps: it tries again after
// a second, and then without a pause.
const parkedPatience = 3 * time.Second

// awaitParked reads on, at a stop, until the kernel keeps no DESTROY event any
// more: without a listener it would drop them.
func (k *socket) awaitParked() error {
	if !k.reliable.on.Load() {
		return nil
	}
	conn, err := k.dial()
	if err != nil {
		return nil //nolint:nilerr // the namespace is gone, and what it kept
	}
	defer conn.Close()
	for end := time.Now().Add(parkedPatience); time.Now().Before(end); {
		n, err := k.read()
		if err != nil {
			return err
		}
		if n == batchSlots {
			continue
		}
		if !parked(conn) {
			return nil
		}
		time.Sleep(pause)
	}
	k.src.log.Warn("the kernel still keeps events", "netns", k.ns.String())
	return nil
}

// errSome ends a dump at its first rows.
var errSome = errors.New("there are some")

// parked tells whether the kernel keeps a flow for its DESTROY event. Kernels that
// do not tell say none.
func parked(conn *ctnetlink.Conn) bool {
	ctx, cancel := context.WithTimeout(context.Background(), fillAnswer)
	defer cancel()
	some, err := keeps(ctx, conn)
	return some && err == nil
}

// keeps is parked for one who must know.
func keeps(ctx context.Context, conn *ctnetlink.Conn) (some bool, err error) {
	_, err = conn.Dump(ctx, flow.TableConntrack, flow.DumpOptions{Dying: true}, func(*flow.Batch) error { return errSome })
	if errors.Is(err, errSome) {
		return true, nil
	}
	return false, err
}
