package source

import (
	"time"

	"github.com/ctferry/ctferry/source/ctnetlink"
)

// The pauses before a growth that was refused is tried again: memory may come to be
// free, and net.core.rmem_max to be raised. Each is twice the one before.
const (
	growPause    = time.Second
	maxGrowPause = 5 * time.Minute
)

// growth is what is known of a buffer that was to grow and could not.
type growth struct {
	pause time.Duration // before the next attempt; 0: the last one succeeded, or there was none
	next  time.Time     // when that may be
}

// refused notes an attempt without success and reports whether it is the first.
func (g *growth) refused(now time.Time) bool {
	first := g.pause == 0
	g.pause = min(max(2*g.pause, growPause), maxGrowPause)
	g.next = now.Add(g.pause)
	return first
}

// grow doubles the buffer towards its bound. Only the reader calls it, and only
// the reader waits for it: a ring takes some milliseconds.
func (k *socket) grow(stats ctnetlink.SocketStats, took uint64) {
	limit := uint64(k.src.cfg.Max)
	if (stats.Queued+took)*2 < stats.Buffer || stats.Buffer >= limit || time.Now().Before(k.growth.next) {
		return
	}
	got, err := k.listener.Grow(int(min(stats.Buffer*2, limit)))
	if err != nil || uint64(got) <= stats.Buffer {
		if k.growth.refused(time.Now()) {
			k.src.log.Warn("receive buffer cannot grow", "netns", k.ns.String(), "bytes", stats.Buffer, "err", err, "help", k.growHelp(limit))
		}
		return
	}
	k.growth = growth{}
	k.src.mu.Lock()
	k.books.Growths++
	k.books.Buffer = uint64(got)
	k.src.mu.Unlock()
	k.buffer.Store(uint64(got))
	k.src.log.Info("receive buffer grown", "netns", k.ns.String(), "bytes", got)
}
