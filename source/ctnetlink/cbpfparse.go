package ctnetlink

import (
	"encoding/binary"
	"math"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// The words of scratch memory. The first part of a program, which reads the
// message, fills those that the second part, which compares, asks for.
const (
	slotType         = iota // flow.Type
	slotProto               // of both tuples
	slotSrcPort             // a port or key of the original tuple, or none
	slotDstPort             //
	slotReplySrcPort        //
	slotReplyDstPort        //
	slotICMPID              // of the original tuple, or none
	slotICMPType            //
	slotICMPCode            //
	slotZone                // 0 if the message has none
	slotMark                // 0 if the message has none
	slotStatus              //
	slotReply               // where CTA_TUPLE_REPLY begins
	slotLen                 // the walk's own
	slotSeen                // the walk's own
	slots
)

// lacking stands for a port, a key or a value of ICMP's that a tuple has not got.
const lacking = math.MaxUint32

// attrsAt is where a message's attributes begin.
const attrsAt = headerLen + genLen

// asLoaded is how a load, which takes what it finds for big-endian, sees an
// attribute's header, which is in host byte order.
func asLoaded(length uint32, kind uint16) uint32 {
	var b [attrLen]byte
	binary.NativeEndian.PutUint16(b[0:], uint16(length))
	binary.NativeEndian.PutUint16(b[2:], kind)
	return binary.BigEndian.Uint32(b[:])
}

// asLoaded16 is the same of a half word.
func asLoaded16(v uint16) uint32 { return asLoaded(uint32(v), 0) >> 16 }

// bytesOf tells where the bytes of a half word stand.
func bytesOf(at uint32) (low, high uint32) {
	if asLoaded16(1) == 1 {
		return at + 1, at
	}
	return at, at + 1
}

// writing is a filter that is being written: the steps, and what the part at
// hand asks of a message.
type writing struct {
	script
	ring       bool // it is for the ring's program
	pass, drop label
	elsewhere  label // of an event that is another shard's

	family  flow.Family
	asked   uint32 // slots, as bits
	replies bool   // the reply tuple
}

func newWriting(ring bool) *writing {
	w := &writing{ring: ring}
	w.pass, w.drop, w.elsewhere = w.label(), w.label(), w.label()
	return w
}

// finish writes the ends.
func (w *writing) finish() {
	w.mark(w.elsewhere)
	w.steps = append(w.steps, step{ins: bpf.RetConstant{Val: 0}, away: true})
	w.mark(w.drop)
	w.do(bpf.RetConstant{Val: 0})
	w.mark(w.pass)
	w.do(bpf.RetConstant{Val: math.MaxUint32})
	w.prune()
}

func (w *writing) asks(slot int) bool { return w.asked>>slot&1 != 0 }

// head passes what is not one whole message of conntrack's, notes the event's
// type, and goes on at the part of its table and family.
func (w *writing) head(parts map[part]label) {
	w.atLeast(attrsAt)
	w.whole()
	w.eventType()
	_, high := bytesOf(4) // of nlmsg_type: the subsystem
	expect := w.label()
	w.do(bpf.LoadAbsolute{Off: high, Size: 1})
	w.when(bpf.JumpEqual, unix.NFNL_SUBSYS_CTNETLINK_EXP, expect, next)
	w.when(bpf.JumpEqual, unix.NFNL_SUBSYS_CTNETLINK, next, w.pass)
	for _, t := range []flow.Table{flow.TableConntrack, flow.TableExpect} {
		if t == flow.TableExpect {
			w.mark(expect)
		}
		w.do(bpf.LoadAbsolute{Off: headerLen, Size: 1}) // nfgen_family
		w.when(bpf.JumpEqual, uint32(flow.IPv4), parts[part{t, flow.IPv4}], next)
		w.when(bpf.JumpEqual, uint32(flow.IPv6), parts[part{t, flow.IPv6}], w.pass)
	}
}

// atLeast passes a datagram that is shorter: a load beyond its end would refuse it.
func (w *writing) atLeast(n uint32) {
	w.do(bpf.LoadExtension{Num: bpf.ExtLen})
	w.when(bpf.JumpGreaterOrEqual, n, next, w.pass)
}

// whole passes a datagram whose first message is not all of it.
func (w *writing) whole() {
	low, high := bytesOf(0) // of nlmsg_len, which is not as large as to need its other half
	if low != 0 {
		low, high = low+2, high+2
	}
	w.do(
		bpf.LoadAbsolute{Off: high, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 8}, bpf.TAX{},
		bpf.LoadAbsolute{Off: low, Size: 1}, bpf.ALUOpX{Op: bpf.ALUOpOr}, bpf.TAX{},
		bpf.LoadExtension{Num: bpf.ExtLen}, bpf.ALUOpX{Op: bpf.ALUOpSub},
	)
	w.when(bpf.JumpEqual, 0, next, w.pass)
}

// eventType notes what the message reports, as message.event does.
func (w *writing) eventType() {
	low, _ := bytesOf(4) // of nlmsg_type: the operation
	created := asLoaded16(unix.NLM_F_CREATE | unix.NLM_F_EXCL)
	update, destroy, told := w.label(), w.label(), w.label()
	w.do(bpf.LoadAbsolute{Off: low, Size: 1})
	w.when(bpf.JumpEqual, msgCtDelete, destroy, next)
	w.when(bpf.JumpEqual, msgCtNew, next, w.pass)
	w.do(bpf.LoadAbsolute{Off: 6, Size: 2}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: created})
	w.when(bpf.JumpEqual, created, next, update)
	w.do(bpf.LoadConstant{Val: uint32(flow.TypeNew)})
	w.jump(told)
	w.mark(update)
	w.do(bpf.LoadConstant{Val: uint32(flow.TypeUpdate)})
	w.jump(told)
	w.mark(destroy)
	w.do(bpf.LoadConstant{Val: uint32(flow.TypeDestroy)})
	w.mark(told)
	w.do(bpf.StoreScratch{N: slotType})
}
