package main

import (
	"slices"

	"github.com/ctferry/ctferry/source/flow"
)

// addSinkBooks adds an account to that of the same sink: a sink that a reload
// changed has one account for the whole run.
func addSinkBooks(all []flow.SinkBooks, b flow.SinkBooks) []flow.SinkBooks {
	i := slices.IndexFunc(all, func(o flow.SinkBooks) bool { return o.Name == b.Name })
	if i < 0 {
		return append(all, b)
	}
	sum := &all[i]
	sum.Offered += b.Offered
	sum.Recovered += b.Recovered
	sum.Delivered += b.Delivered
	sum.DeadLettered += b.DeadLettered
	sum.Held += b.Held
	sum.Bytes += b.Bytes
	sum.Retries += b.Retries
	sum.Dropped = addDrops(sum.Dropped, b.Dropped)
	sum.Errors = addDrops(sum.Errors, b.Errors)
	sum.LastSeq = max(sum.LastSeq, b.LastSeq)
	sum.Up, sum.LastError = b.Up, b.LastError
	return all
}

func addDrops(sum, more []flow.Drop) []flow.Drop {
	sum = slices.Clone(sum)
	for _, d := range more {
		i := slices.IndexFunc(sum, func(o flow.Drop) bool { return o.Reason == d.Reason })
		if i < 0 {
			sum = append(sum, d)
			continue
		}
		sum[i].Count += d.Count
	}
	return sum
}
