package main

import "context"

// The greatest share of the baseline's CPU an event that each encoding may take, with
// the ring and with the socket, and of the peers'.
const (
	targetUlogd     = 0.06
	targetConntrack = 0.03
	targetGenerator = 1.0
	targetPeakMiB   = 32
)

// target is a share of the bare C loop's CPU.
type target struct{ ring, socket float64 }

func (t target) of(receive string) float64 {
	if receive == "ring" {
		return t.ring
	}
	return t.socket
}

func encodings() []struct {
	name string
	most target
} {
	return []struct {
		name string
		most target
	}{
		{"json", target{ring: 0.5, socket: 0.9}},
		{"protobuf", target{ring: 0.4, socket: 0.8}},
		{"xml", target{ring: 0.6, socket: 1.0}},
	}
}

// rowCPU measures the CPU an event from the kernel to a file, with each encoding and by
// both ways of receiving, at the generator's full rate; and in the same samples what the
// listener costs the generator, and the memory.
func rowCPU(ctx context.Context, l *lab) (lines []line, err error) {
	bare, loop, ulogd, conntrack := l.bareC(), l.bareGo(), l.ulogdJSON(), l.conntrackEvents()
	subjects := []subject{bare, loop}
	limits := map[string]float64{}
	for _, e := range encodings() {
		for _, receive := range []string{"ring", "socket"} {
			s := l.ferryAs(ferryWay{name: "ctferry " + e.name + ", " + receive, receive: receive, encodings: []string{e.name}})
			subjects = append(subjects, s)
			limits[s.name] = e.most.of(receive)
		}
	}
	t, err := alternate(ctx, l, l.rounds, append(subjects, ulogd, conntrack), l.work)
	if err != nil {
		return nil, err
	}
	const cpu = "CPU an event, kernel to file, full rate"
	lines = append(lines, t.line(cpu, bare, subject{}, "ns", sample.cpuAnEvent).noting("%s", t.remarks(bare)))
	for _, s := range subjects[1:] {
		lines = append(lines, t.line(cpu, s, bare, "ns", sample.cpuAnEvent).under(limits[s.name]).noting("%s", t.remarks(s)))
	}
	for _, peer := range []subject{ulogd, conntrack} {
		lines = append(lines, t.line(cpu, peer, bare, "ns", sample.cpuAnEvent).noting("at %d events/s", peer.rate).noting("%s", t.remarks(peer)))
	}
	const peers = "the same against the peers"
	for _, s := range subjects[2:4] {
		lines = append(lines,
			t.line(peers, s, ulogd, "ns", sample.cpuAnEvent).under(targetUlogd),
			t.line(peers, s, conntrack, "ns", sample.cpuAnEvent).under(targetConntrack))
	}
	lines = append(lines, linesGenerator(t, bare, subjects[1:4])...)
	return append(lines, linesMemory(t, subjects[2:])...), nil
}

// linesGenerator are about the generator's own CPU while each listens.
func linesGenerator(t taken, bare subject, others []subject) (lines []line) {
	const measure = "the generator's own CPU an event while it listens"
	lines = append(lines, t.line(measure, bare, subject{}, "ns", sample.generatorAnEvent))
	for _, s := range others {
		lines = append(lines, t.line(measure, s, bare, "ns", sample.generatorAnEvent).under(targetGenerator))
	}
	return lines
}

// linesMemory are about resident memory at that rate; what the ring has of it is told apart.
func linesMemory(t taken, ferries []subject) (lines []line) {
	for _, s := range ferries {
		ring := t.series(s, func(s sample) float64 { return mebibytes(s.ring) }).median()
		lines = append(lines, t.line("resident memory, peak, without the ring", s, subject{}, "MiB",
			func(s sample) float64 { return mebibytes(s.peak - s.ring) }).within(targetPeakMiB).noting("ring %s MiB resident", number(ring)))
	}
	return lines
}

// work is the full rate, or what the subject can take.
func (l *lab) work(s subject) load {
	w := l.fullRate(400_000)
	if s.rate > 0 {
		w = l.fullRate(s.events)
		w.churn.Rate = s.rate
	}
	return w
}
