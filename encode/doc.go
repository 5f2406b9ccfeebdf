// Package encode turns events into bytes and back: JSON, XML and protobuf, one
// file a format, with their schemas beside them. The three carry the same
// fields of schema ctferry.v1. It knows events only; it must never know where
// bytes come from or go to. Append functions own nothing: what they are given
// they extend and return.
package encode
