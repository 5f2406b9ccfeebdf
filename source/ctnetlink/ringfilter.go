package ctnetlink

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// ringPrefix is the word before a datagram in its record: the datagram's length
// (u64, host byte order), which the record's own does not tell.
const ringPrefix = 8

// ringSizes are the lengths that a record has room for: the kernel wants a
// reservation's size to be a constant. Events are mostly of 128 to 316 bytes; the
// largest is a slot of the other receiver. A datagram that is longer still has
// its length noted and nothing else, in a record of the first size.
func ringSizes() []int32 {
	return []int32{144, 176, 208, 240, 272, 304, 336, 496, 1008, eventSlotSize}
}

// The registers that the filter keeps over calls.
const (
	regSkb    = asm.R6 // struct __sk_buff
	regLen    = asm.R7 // the datagram's length
	regRecord = asm.R8 // the record that was reserved
)

// offsetSkbLen is offsetof(struct __sk_buff, len).
const offsetSkbLen = 0

// ringProgram is the socket filter: it copies the datagram into the ring that
// stands in rings[0] and refuses it, so that it is never queued. What does not
// fit adds one to the first of the counters and is refused too; it must not go round by the
// queue, or order would be lost. With passOn it is accepted and not counted:
// then the queue refuses it, and the sender hears of that (see plug).
//
// It runs in the sender's context, on several processors at once, and may itself
// be interrupted by one that runs it again, so it keeps nothing in a
// processor's own memory. The helpers that it calls are open to programs of any
// licence.
//
// Before all that it runs what it may of source's filter, if there is one: what
// that refuses adds one to the second of the counters, and touches nothing else.
// What is another shard's is refused before that, and counted nowhere.
func ringProgram(rings, counters *ebpf.Map, passOn bool, filter *KernelFilter) *ebpf.ProgramSpec {
	p := asm.Instructions{
		asm.Mov.Reg(regSkb, asm.R1),
		asm.LoadMem(regLen, regSkb, offsetSkbLen, asm.Word),
	}
	var first *script
	if filter.loads() {
		first = filter.ring
		p = append(p, first.extended("accept", "refuse", "elsewhere")...)
	}
	if first.may(accepts) { // the verifier refuses what nothing leads to
		p = append(p, reserveRecord(rings)...)
		p = append(p, fillRecord()...)
		p = append(p, giveUp(counters, passOn)...)
	}
	if first.may(refuses) {
		p = append(p, refuseCounted(counters, countRefused, "refuse")...)
	}
	if first.may(leaves) {
		p = append(p, asm.Mov.Imm(asm.R0, 0).WithSymbol("elsewhere"), asm.Return())
	}
	return &ebpf.ProgramSpec{Name: "ctferry_ring", Type: ebpf.SocketFilter, Instructions: p, License: "Apache-2.0"}
}

// reserveRecord takes the smallest record that has room of the ring that is
// written to.
func reserveRecord(rings *ebpf.Map) asm.Instructions {
	p := asm.Instructions{
		asm.StoreImm(asm.RFP, -4, 0, asm.Word).WithSymbol("accept"),
		asm.LoadMapPtr(asm.R1, rings.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "lost"),
		asm.Mov.Reg(asm.R1, asm.R0),
	}
	sizes := ringSizes()
	for _, size := range sizes {
		p = append(p, asm.Mov.Imm(asm.R2, ringPrefix+size), asm.JLE.Imm(regLen, size, "reserve"))
	}
	return append(p,
		asm.Mov.Imm(asm.R2, ringPrefix+sizes[0]),
		asm.Mov.Imm(asm.R3, 0).WithSymbol("reserve"),
		asm.FnRingbufReserve.Call(),
		asm.JEq.Imm(asm.R0, 0, "lost"),
		asm.Mov.Reg(regRecord, asm.R0),
	)
}

// fillRecord copies the datagram and makes the record the reader's. The flags of
// the submission are 0: it wakes the reader if, and only if, the reader had read
// all before it.
func fillRecord() asm.Instructions {
	return asm.Instructions{
		asm.StoreMem(regRecord, 0, regLen, asm.DWord),
		asm.JEq.Imm(regLen, 0, "submit"),
		asm.JGT.Imm(regLen, eventSlotSize, "submit"),
		asm.Mov.Reg(asm.R1, regSkb),
		asm.Mov.Imm(asm.R2, 0),
		asm.Mov.Reg(asm.R3, regRecord),
		asm.Add.Imm(asm.R3, ringPrefix),
		asm.Mov.Reg(asm.R4, regLen),
		asm.FnSkbLoadBytes.Call(),
		asm.JEq.Imm(asm.R0, 0, "submit"),
		asm.Mov.Reg(asm.R1, regRecord),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRingbufDiscard.Call(),
		asm.Ja.Label("lost"),
		asm.Mov.Reg(asm.R1, regRecord).WithSymbol("submit"),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRingbufSubmit.Call(),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	}
}

// giveUp is what becomes of a datagram that the ring has no room for.
func giveUp(counters *ebpf.Map, passOn bool) asm.Instructions {
	if passOn {
		return asm.Instructions{asm.Mov.Imm(asm.R0, -1).WithSymbol("lost"), asm.Return()}
	}
	return refuseCounted(counters, countLost, "lost")
}

// refuseCounted adds one to a counter and refuses the datagram.
func refuseCounted(counters *ebpf.Map, counter uint32, name string) asm.Instructions {
	return asm.Instructions{
		asm.LoadMapValue(asm.R1, counters.FD(), counter).WithSymbol(name),
		asm.Mov.Imm(asm.R2, 1),
		asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	}
}
