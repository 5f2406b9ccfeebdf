package doctor

import (
	"fmt"
	"time"
)

// What of a clock is a warning.
const (
	clockError = time.Second            // as the kernel estimates it
	clockStep  = 100 * time.Millisecond // while doctor looks; slewing is far less
)

// checkClock asks whether the machine's clock can be believed.
func checkClock() check {
	return check{
		id: "clock", title: "the machine's clock", machine: true,
		why: "times in records are this clock's: who had an address at a time cannot be told by a wrong one",
		look: func(f *Facts) []Finding {
			h := f.Host
			if h.ClockErr != nil {
				return unknown(h.ClockErr)
			}
			c := h.Clock
			switch {
			case c.Step.Abs() > clockStep:
				return one(Warn, fmt.Sprintf("was set by %v just now", c.Step.Round(time.Millisecond)), "timedatectl timesync-status")
			case c.Unsynchronised:
				return one(Warn, "nothing keeps it right (adjtimex: unsynchronised)", "timedatectl set-ntp true")
			case c.MaxError > clockError:
				return one(Warn, fmt.Sprintf("may be wrong by %v", c.MaxError.Round(time.Millisecond)), "timedatectl timesync-status")
			}
			return good(fmt.Sprintf("kept right within %v", c.MaxError.Round(time.Millisecond)))
		},
	}
}
