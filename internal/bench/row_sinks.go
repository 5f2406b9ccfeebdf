package main

import (
	"context"
	"fmt"
	"slices"
)

// rowSinks measures what more sinks cost: with the same encoding, and with others.
func rowSinks(ctx context.Context, l *lab) (lines []line, err error) {
	with := func(name string, encodings ...string) subject {
		return l.ferryAs(ferryWay{name: "ctferry, " + name, receive: "auto", encodings: encodings})
	}
	same := func(n int) []string { return slices.Repeat([]string{"json"}, n) }
	one := with("one sink", "json")
	others := []struct {
		subject
		most float64
	}{
		{with("two sinks, json", same(2)...), 0},
		{with("three sinks, json", same(3)...), 1.25},
		{with("eight sinks, json", same(8)...), 0},
		{with("three sinks, json, protobuf and xml", "json", "protobuf", "xml"), 2.2},
	}
	const events = 200_000
	if err := l.room(8 * 1000 * int64(l.scaled(events))); err != nil {
		return nil, err
	}
	subjects := []subject{one}
	for _, o := range others {
		subjects = append(subjects, o.subject)
	}
	t, err := alternate(ctx, l, l.rounds, subjects, func(subject) load { return l.fullRate(events) })
	if err != nil {
		return nil, err
	}
	const measure = "CPU an event with more file sinks"
	lines = append(lines, t.line(measure, one, subject{}, "ns", sample.cpuAnEvent).noting("%s", t.remarks(one)))
	for _, o := range others {
		lines = append(lines, t.line(measure, o.subject, one, "ns", sample.cpuAnEvent).under(o.most).noting("%s", t.remarks(o.subject)))
	}
	return lines, nil
}

// rowReal measures real packets through the loopback device: TCP, UDP, ICMP, SCTP, both families.
func rowReal(ctx context.Context, l *lab) (lines []line, err error) {
	bare := l.bareC()
	subjects := []subject{bare, l.ferryAs(ferryFile("ring")), l.ferryAs(ferryFile("socket"))}
	t, err := alternate(ctx, l, l.rounds, subjects, func(subject) load { return load{flows: l.scaled(20_000)} })
	if err != nil {
		return nil, err
	}
	for _, s := range subjects {
		against := bare
		if s.name == bare.name {
			against = subject{}
		}
		perFlow := t.series(s, func(s sample) float64 { return float64(s.counted.received) / float64(s.made.Events()) }).median()
		lines = append(lines, t.line("CPU an event, real packets on lo", s, against, "ns", sample.cpuAnEvent).
			noting("%s events a flow", number(perFlow)).noting("%s", t.remarks(s)))
	}
	return lines, nil
}

// rowFilter measures events that a filter refuses against the same events received.
func rowFilter(ctx context.Context, l *lab) (lines []line, err error) {
	terms := []string{"proto: gre", "addr: 192.0.2.0/24", "dport: 9", "mark: 77", "family: ipv6"}
	for _, receive := range []string{"ring", "socket"} {
		all := l.ferryAs(ferryFile(receive))
		subjects := []subject{all}
		for _, term := range terms {
			subjects = append(subjects, l.ferryAs(ferryWay{
				name: fmt.Sprintf("ctferry, %s, {%s}", receive, term), receive: receive, encodings: []string{"json"},
				source: "filter: {include: [{" + term + "}]}", refuses: true,
			}))
		}
		t, err := alternate(ctx, l, l.rounds, subjects, func(subject) load { return l.onlyIPv4(150_000) })
		if err != nil {
			return lines, err
		}
		const measure = "CPU an event that a filter refuses"
		lines = append(lines, t.line(measure, all, subject{}, "ns", sample.cpuAnEventMade).noting("received, not refused"))
		for _, s := range subjects[1:] {
			lines = append(lines, t.line(measure, s, all, "ns", sample.cpuAnEventMade).under(0.05))
		}
	}
	return lines, nil
}
