package encode

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// MaxRecord is how long a record may be in bytes. The longest that the encoders
// write are status records, of some 300 bytes for each network namespace.
const MaxRecord = 4 << 20

// maxOrigins bounds how many origins a decoder remembers.
const maxOrigins = 64

// draft is an event while a decoder fills it. The three decoders differ in how
// they read; what a value means is decided here and in the tables of members.
type draft struct {
	batch *flow.Batch
	e     *flow.Event

	origin     flow.Origin
	schema     string
	proto      string
	status     uint32 // by the words; used where the number is absent
	flags      uint32
	statusSeen bool
	flagsSeen  bool
	protoSeen  bool
	dump       flow.DumpInfo
	dumpSeen   bool
	nat        flow.ToldNAT
	told       flow.Told
	keyed      *flow.Tuple // a direction of the flow that has GRE keys
	trust      trust       // the decoder's own: which derived values are kept
	fault      error       // of the value just kept, which is good alone and bad with the others

	value value // the one just read; here, so that none is allocated

	tuple       *flow.Tuple // the one entered
	counters    *flow.Counters
	deltas      *flow.Counters
	countersBit flow.Has
	deltasBit   flow.Has
	stray       flow.Counters // of a tuple that has none
	seqAdj      *flow.SeqAdj
	table       *flow.TableFill
	socket      *flow.SocketBooks
	tally       *flow.Drop

	origins []*flow.Origin // known ones, to be shared
	next    int            // the one to forget
	last    *flow.DumpInfo
}

// decode fills the next slot of b by read, or leaves b as it was.
func (d *draft) decode(b *flow.Batch, record []byte, read func([]byte) error) error {
	if len(record) > MaxRecord {
		return fmt.Errorf("record: %d bytes, at most %d are read", len(record), MaxRecord)
	}
	e := b.Next()
	if e == nil {
		return errors.New("record: the batch has no room")
	}
	*d = draft{batch: b, e: e, trust: d.trust, origins: d.origins, next: d.next, last: d.last}
	err := read(record)
	if err == nil {
		err = d.finish()
	}
	d.e, d.batch = nil, nil
	if err != nil {
		b.Undo()
	}
	return err
}

// finish judges the whole, and derives what follows from several values.
func (d *draft) finish() error {
	e := d.e
	switch {
	case d.schema != Schema:
		return fmt.Errorf("schema: is %.40q, want %q", d.schema, Schema)
	case e.Type.String() == "":
		return errors.New("event_type: is absent or unknown")
	case e.Table.String() == "":
		e.Table = flow.TableUnspecified
	}
	if e.TimeSource.String() == "" {
		e.TimeSource = flow.TimeUnspecified
	}
	if num, ok := flow.ProtoNum(d.proto); ok && !d.protoSeen {
		d.setProto(num)
	}
	if d.keyed != nil && !d.keyed.Got(flow.HasProto) && !d.protoSeen {
		e.Proto = flow.ProtoGRE // nothing else has keys
	}
	if !e.Any(flow.HasStatus) && d.statusSeen {
		e.Status = d.status
		d.got(flow.HasStatus)
	}
	if d.flagsSeen && !e.Extra.Expect.Got(flow.HasExpectFlags) {
		d.expect(flow.HasExpectFlags).Flags = d.flags
	}
	if d.dumpSeen {
		e.Dump = d.shareDump()
	}
	d.finishTuples()
	d.finishNAT()
	d.finishTold()
	e.Origin = d.shareOrigin()
	return nil
}

// finishTuples hands down what the tuples have from the record.
func (d *draft) finishTuples() {
	e := d.e
	if d.protoSeen && !e.Orig.Got(flow.HasProto) {
		e.Orig.Proto = e.Proto
		e.Orig.Has |= flow.HasProto
	}
	if d.protoSeen && e.Reply.Has != 0 && !e.Reply.Got(flow.HasProto) {
		e.Reply.Proto = e.Proto
		e.Reply.Has |= flow.HasProto
	}
	if e.Orig.Has != 0 {
		d.got(flow.HasOrig)
	}
	if e.Reply.Has != 0 {
		d.got(flow.HasReply)
	}
	if e.Family == 0 && e.Orig.Has&flow.HasAddrs != 0 {
		e.Family = e.Orig.Family
	}
	d.finishFamily(&e.Orig)
	d.finishFamily(&e.Reply)
	if e.Extra == nil {
		return
	}
	x := &e.Extra.Expect
	for _, t := range []*flow.Tuple{&e.Extra.Master, &x.Tuple, &x.Mask, &x.Master, &x.NAT} {
		d.finishFamily(t)
	}
}

// finishFamily gives a tuple without addresses the record's family.
func (d *draft) finishFamily(t *flow.Tuple) {
	if t.Has&flow.HasAddrs == 0 {
		t.Family = d.e.Family
	}
}

// shareOrigin gives the origin that the decoder knows already, so that readers
// may compare pointers, or remembers it.
func (d *draft) shareOrigin() *flow.Origin {
	o := &d.origin
	slices.SortFunc(o.Meta, func(a, b flow.Pair) int { return strings.Compare(a.Key, b.Key) })
	for _, known := range d.origins {
		if known.Node == o.Node && known.NetNS == o.NetNS && known.BootID == o.BootID && known.Run == o.Run &&
			slices.Equal(known.Meta, o.Meta) {
			return known
		}
	}
	fresh := new(*o)
	if len(d.origins) < maxOrigins {
		d.origins = append(d.origins, fresh)
		return fresh
	}
	d.origins[d.next] = fresh
	d.next = (d.next + 1) % maxOrigins
	return fresh
}

// shareDump does the same for the dump that the last row belonged to.
func (d *draft) shareDump() *flow.DumpInfo {
	if d.last == nil || *d.last != d.dump {
		d.last = new(d.dump)
	}
	return d.last
}
