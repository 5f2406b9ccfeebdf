package source

import "time"

// turn notes that the reader's loop goes round. It does so once a second at
// least, whether or not there are events.
func (k *socket) turn() { k.turned.Store(int64(time.Since(k.src.begun))) }

// Standstill is how long ago the slowest of the readers last went round its
// loop: about a second at most when all is well, events or not, and whatever
// becomes of the sinks. It waits for the batch in flight. Readers of namespaces
// that are being closed do not count; it is meaningful while Run runs.
func (s *Source) Standstill() time.Duration {
	asked := time.Since(s.begun)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Since(s.begun)
	longest := now - asked // whoever held the lock may be on its way again already
	for _, sock := range s.sockets {
		for _, k := range sock.shards {
			if !k.stopped {
				longest = max(longest, now-time.Duration(k.turned.Load()))
			}
		}
	}
	return longest
}
