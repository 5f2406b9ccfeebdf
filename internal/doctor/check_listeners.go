package doctor

import "fmt"

// checkListeners looks at the other processes that listen to the same events.
func checkListeners() check {
	return check{
		id: "listeners", title: "listeners that do not keep up",
		why: "that process has lost as many events; what listens reliably and does not keep up makes the kernel keep ended flows, and fills the table",
		look: func(f *Facts) []Finding {
			h := f.Host
			if h.SocketsErr != nil {
				return unknown(h.SocketsErr)
			}
			var all []Finding
			for i := range h.Sockets {
				s := &h.Sockets[i]
				if s.Drops == 0 {
					continue
				}
				all = append(all, Finding{
					Severity: Warn, Subject: s.who(),
					Found: fmt.Sprintf("has lost %d events, and %s wait to be read", s.Drops, sizeOf(s.Queued)),
					Fix:   s.fix(),
				})
			}
			if len(all) == 0 {
				return good(fmt.Sprintf("%d, and none has lost anything", len(h.Sockets)))
			}
			return all
		},
	}
}

// who names the socket's process as well as is known.
func (s *Socket) who() string {
	switch {
	case s.PID > 0:
		return fmt.Sprintf("%s (pid %d)", s.Owner, s.PID)
	case s.Owner != "":
		return fmt.Sprintf("%s (port %d)", s.Owner, s.Port)
	}
	return fmt.Sprintf("netlink port %d", s.Port)
}

// fix shows the process: only its owner knows how it is mended.
func (s *Socket) fix() string {
	if s.PID > 0 {
		return fmt.Sprintf("ps -fp %d", s.PID)
	}
	return fmt.Sprintf("ss -f netlink -p | grep %d", s.Port)
}
