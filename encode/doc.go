// Package encode turns events into bytes and back: JSON, XML and protobuf, one
// file a format, with their schemas beside them. The three carry the same
// fields of schema ctferry.v1. It knows events only; it must never know where
// bytes come from or go to. Append functions own nothing: what they are given
// they extend and return.
//
// Encoders are written out by hand and write from a view, which decides what of
// an event is present and what a Projection hides. Decoders share one table of
// members (member_*.go, in the order of record.proto) and one draft of the
// event; they differ in how they read. A word that is not known, from a later
// version, counts as absent; a value of a wrong kind is an error that names its
// field.
//
// Protobuf has no text to search for, so what costs is how a byte is put down:
// the parts of a record whose length is bounded are written onto a pbPage, and
// what comes again with every record (pbSeen) is copied.
//
// Text is apart from the three: it prints what conntrack(8) prints, for people
// and for programs that read that, and there is no way back.
package encode
