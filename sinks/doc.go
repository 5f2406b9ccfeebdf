// Package sinks delivers encoded events: a Fanout selects and encodes, an
// Outlet queues, retries and keeps the account of one sink, a Sink writes to
// one place. It must never know how events are read, nor make the reader wait.
//
// Ownership: Fanout encodes into segments, which Outlets hold together and nobody
// changes; an Outlet that wants a part copies that before the call returns; a Sink
// may read a batch's bytes until Write returns, and never writes to them.
//
// With a Store the way is another: Fanout gives each batch once to the Store's
// bounded queue, the Store's own goroutine writes it to the spool, and each
// Outlet reads it from there, filters, projects and encodes. What an Outlet
// holds then survives the process.
package sinks
