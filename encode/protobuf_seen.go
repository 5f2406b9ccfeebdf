package encode

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ctferry/ctferry/source/flow"
)

// pbSeen is what an encoder has written before and will write again: of the
// last origin, of names, of words. It is bounded, and changes no record.
type pbSeen struct {
	origin *flow.Origin
	known  bool         // what follows is of origin
	node   []byte       // field 3
	run    [runLen]byte // field 11
	place  []byte       // fields 19 to 21
	schema [16]byte     // field 16 and what no one reads
	room   int          // what these take, with the pages between them

	named                    [32]pbNames
	helper, secctx, progname pbWord
}

// remember renders what is the same for every event of an origin.
func (p *pbSeen) remember(proj *Projection, o *flow.Origin) {
	p.origin, p.known = o, true
	copy(p.schema[:], pbSchema)
	if o == nil {
		o = &flow.Origin{}
	}
	show := ^proj.hidden.part
	p.node = pbStringIf(p.node[:0], 3, o.Node)
	pbBytes(p.run[:0], 11, o.Run[:]) // in place, for it fills it
	b := p.place[:0]
	if show&partNetNS != 0 {
		b = pbStringIf(b, 19, o.NetNS)
	}
	if show&partMeta != 0 {
		for _, m := range o.Meta {
			var start int
			b, start = pbOpen(b, 20)
			b = pbString(pbString(b, 1, m.Key), 2, m.Value)
			b = pbClose(b, start)
		}
	}
	if o.BootID != [16]byte{} && show&partBootID != 0 {
		b = pbBytes(b, 21, o.BootID[:])
	}
	p.place = b
	p.room = len(p.node) + len(p.place) + pbRoom
}

// pbNames are fields 22 to 24 as they were written once.
type pbNames struct {
	of   uint64 // what decides them
	len  int
	text [pbNamesLen]byte
}

// pbNamesLen is more than fields 22 to 24 take: 3, 10 and 19 bytes.
const pbNamesLen = 40

// names writes fields 22 to 24. Most records have names that one of the last had.
func (p *pbSeen) names(w *pbPage, v *view) int {
	e := v.e
	of := uint64(e.Family) << 32
	if v.hasProto {
		of |= 1<<48 | uint64(e.Proto)<<40
	}
	if v.got(flow.HasStatus) {
		of |= 1<<49 | uint64(e.Status)
	}
	known := &p.named[of*0x9e3779b97f4a7c15>>59%uint64(len(p.named))]
	if known.of != of {
		known.of, known.len = of, w.names(v)
		copy(known.text[:], w[:])
		return known.len
	}
	*(*[pbNamesLen]byte)(w[:]) = known.text
	return known.len
}

// pbWord is a field's string as it was written last: the same comes again and
// again, and need not be looked at anew.
type pbWord struct {
	text    string
	written []byte // the whole field; empty: none was written yet
}

// appendTo writes the field.
func (p *pbWord) appendTo(dst []byte, num protowire.Number, text string) []byte {
	if p.text != text || len(p.written) == 0 {
		p.text, p.written = text, pbString(p.written[:0], num, text)
	}
	return append(dst, p.written...)
}
