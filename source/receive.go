package source

import (
	"fmt"

	"github.com/ctferry/ctferry/source/ctnetlink"
)

// maxRings bounds the memory of namespaces that come by a glob: a ring is memory
// from the start, where a socket's buffer is only a bound. Further namespaces
// are read by the socket, unless rings are demanded.
const maxRings = 16

// receive is the way by which the next namespace's events are to come.
func (s *Source) receive() ctnetlink.Receive {
	way, err := ctnetlink.ParseReceive(s.cfg.Receive)
	if err != nil { // Validate has refused it
		return ctnetlink.ReceiveAuto
	}
	rings := 0
	for _, sock := range s.sockets {
		for _, k := range sock.shards {
			if got, _ := k.listener.Receives(); got == ctnetlink.ReceiveRing {
				rings++
			}
		}
	}
	if way == ctnetlink.ReceiveAuto && rings+len(s.kernel) > maxRings {
		return ctnetlink.ReceiveSocket
	}
	return way
}

// tellWay logs by what way events come, and, once, why it is not the better one.
func (s *Source) tellWay(k *socket) {
	way, why := k.listener.Receives()
	if why != nil && !s.told {
		s.told = true
		s.log.Info("events are received without the ring", "netns", k.ns.String(), "why", why,
			"help", "source.receive: socket takes this line away")
	}
	s.log.Debug("event socket opened", "netns", k.ns.String(), "receive", way.String())
}

// tellFilter notes whether the kernel runs its part of the filter, and logs, once,
// why it does not.
func (s *Source) tellFilter(k *socket) {
	runs, counts, why := k.listener.Filters()
	k.books.KernelFilter = runs
	if counts {
		k.books.Refused = new(uint64)
	}
	if why != nil && !s.toldFilter {
		s.toldFilter = true
		s.log.Warn("the kernel does not take the filter: all of it runs here, which costs more", "netns", k.ns.String(), "err", why)
	}
}

// growHelp is what would let the buffer grow to so many bytes.
func (k *socket) growHelp(bytes uint64) string {
	if way, _ := k.listener.Receives(); way == ctnetlink.ReceiveRing {
		return "a larger ring needs memory, Linux 5.10 and still CAP_BPF"
	}
	return fmt.Sprintf("sysctl -w net.core.rmem_max=%d", bytes/2)
}
