// Package control is how a table is acted on: requests, the guards that stand
// before them, the audit of what was done, the NATS service that serves them
// and the client that calls it. It must never know the kernel's protocol nor
// how records are delivered: what it needs of both it declares as interfaces
// (Tables, Tap), and the caller joins the rooms.
//
// A Request has one meaning wherever it is carried out: on this host by an
// Executor, on others by a Client. Both are Callers.
package control
