// Package admin is what an operator looks at while the service runs: metrics
// for Prometheus, health, the same figures as JSON, and a page that draws them.
// Everything that it shows comes out of one Snapshot, so no two of its answers
// can tell different numbers. It must never know where the figures come from,
// change anything, or make the reader wait: it takes a snapshot in a goroutine
// of its own, and whoever asks waits a bounded time for the next one.
//
// A Snapshot is its maker's until it is handed over, and nobody's to change
// from then on.
package admin
