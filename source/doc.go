// Package source is the policy of reading: when to read, how large a buffer
// is, what to do after a loss, when to dump. It hands out batches of stamped
// events and must never know what becomes of them. A batch belongs to the
// source; whoever takes it is done with it when Take returns.
package source
