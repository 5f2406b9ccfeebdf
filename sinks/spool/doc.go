// Package spool stores batches of records on disk until every sink that wants
// them has taken them: one writer appends frames, each sink reads them at its
// own pace through a cursor that survives a restart. It must never know what a
// record is; it keeps the bytes it is given and, in each frame's header, how
// many of the frame's records each sink would have got.
//
// What stands on disk, below Config.Dir:
//
//	lock              held with flock(2) by the process that writes
//	cursors           where each sink stands, and the totals at that moment (cursors.go)
//	acks              where each sink stands since then (acks.go)
//	segments/00000000 frames, each one record of a Prometheus write-ahead log (frame.go)
//
// Every segment begins with a checkpoint: the totals of all that was appended
// before it, for each sink. What is lost with a segment, by the size cap or by
// damage, is the difference between two checkpoints less what the sink had
// already read. So it is counted exactly and without decoding anything.
//
// What survives what:
//
//   - The death of the process, at any moment: every frame whose Append returned.
//   - A power failure: with sync "always" every frame whose Append returned;
//     with an interval, what is older than it; with "none", what the kernel had written.
//   - A torn tail: nothing is lost that Append had returned. A damaged place: at most
//     the rest of its segment; all other segments are read, and what was lost is counted.
//   - A full disk: the oldest segments go first, counted to those who had not
//     read them; if none is left, Append refuses with ErrNoRoom, and takes again by itself.
//     What stands on disk of a frame that was refused is cut off.
//   - An fsync that fails: its segment is written no more, and what had not been
//     synced is written again to a new one. Readers get each frame once.
//
// Delivery is at least once. An acknowledgement outlives the process as soon as
// Ack returns, so that the death of the process repeats only what a sink had got
// and not acknowledged yet; a power failure repeats up to saveEvery.
//
// Ownership: Append copies what it is given. What a Cursor gives is the
// caller's until its next call. Numbers on disk are little endian.
package spool
