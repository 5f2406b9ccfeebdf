package ctnetlink

import (
	"encoding/binary"
	"strconv"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/net/bpf"
)

// The registers of the classic machine in the ring's program, beside regSkb and
// regLen, which stay. Loads of the datagram give their result in R0.
const (
	regA = asm.R0
	regX = asm.R9
	regT = asm.R1 // for a moment; a load spoils it
)

// The walk's registers; X is free while it runs.
const (
	regAt    = asm.R8 // where the attribute begins
	regCount = asm.R9
)

// maxWalk is how many attributes a walk looks at; an event has at most 17. The
// verifier wants a bound.
const maxWalk = 32

// extended turns a filter into instructions of the extended machine, which come
// out at the label accept, or at refuse, or, with what is another shard's, at away.
func (s *script) extended(accept, refuse, away string) (out asm.Instructions) {
	marked := map[int]bool{}
	for _, at := range s.at {
		marked[at] = true
	}
	for i := range s.steps {
		st := &s.steps[i]
		var ins asm.Instructions
		switch {
		case st.walk != nil:
			ins = walk(st.walk, "walk"+strconv.Itoa(i), accept)
		case st.jumps():
			ins = s.branch(st, i)
		case st.away:
			ins = asm.Instructions{asm.Ja.Label(away)}
		default:
			ins = translate(st.ins, accept, refuse)
		}
		if marked[i] && i > 0 {
			ins[0] = ins[0].WithSymbol(placeName(i))
		}
		out = append(out, ins...)
	}
	return out
}

func placeName(i int) string { return "at" + strconv.Itoa(i) }

// branch is a jump; where it does not is the next step.
func (s *script) branch(st *step, i int) asm.Instructions {
	yes, no := s.at[st.yes], s.at[st.no]
	if yes == no {
		return asm.Instructions{asm.Ja.Label(placeName(yes))}
	}
	op := map[bpf.JumpTest]asm.JumpOp{
		bpf.JumpEqual: asm.JEq, bpf.JumpGreaterThan: asm.JGT, bpf.JumpGreaterOrEqual: asm.JGE,
	}[st.test]
	if yes == i+1 { // turned round, one instruction does
		op = map[asm.JumpOp]asm.JumpOp{asm.JEq: asm.JNE, asm.JGT: asm.JLE, asm.JGE: asm.JLT}[op]
		yes, no = no, yes
	}
	ins := asm.Instructions{op.Imm32(regA, int32(st.val), placeName(yes))}
	if no != i+1 {
		ins = append(ins, asm.Ja.Label(placeName(no)))
	}
	return ins
}

// slotAt is where a word of scratch memory stands, from the frame's end: in the
// upper half of eight bytes. There the verifier does not follow what is written, if
// it is not zero, and so does not look at the rest of the program again for each
// value that it might be.
func slotAt(n int) int16 { return int16(-8*n - 12) }

func sizeOf(bytes int) asm.Size {
	return map[int]asm.Size{1: asm.Byte, 2: asm.Half, 4: asm.Word}[bytes]
}

func register(r bpf.Register) asm.Register {
	if r == bpf.RegX {
		return regX
	}
	return regA
}

// translate turns one instruction that the scripts have.
func translate(ins bpf.Instruction, accept, refuse string) asm.Instructions {
	one := func(i asm.Instruction) asm.Instructions { return asm.Instructions{i} }
	switch i := ins.(type) {
	case bpf.LoadAbsolute:
		return one(asm.LoadAbs(int32(i.Off), sizeOf(i.Size)))
	case bpf.LoadIndirect:
		return one(asm.LoadInd(regA, regX, int32(i.Off), sizeOf(i.Size)))
	case bpf.LoadConstant:
		return one(asm.Mov.Imm32(register(i.Dst), int32(i.Val)))
	case bpf.LoadScratch:
		return one(asm.LoadMem(register(i.Dst), asm.RFP, slotAt(i.N), asm.Word))
	case bpf.StoreScratch:
		return one(asm.StoreMem(asm.RFP, slotAt(i.N), register(i.Src), asm.Word))
	case bpf.TAX:
		return one(asm.Mov.Reg32(regX, regA))
	case bpf.TXA:
		return one(asm.Mov.Reg32(regA, regX))
	case bpf.ALUOpConstant:
		return one(aluOp(i.Op).Imm32(regA, int32(i.Val)))
	case bpf.ALUOpX:
		return one(aluOp(i.Op).Reg32(regA, regX))
	case bpf.LoadExtension: // ExtLen: for the other there is the walk
		return one(asm.Mov.Reg32(regA, regLen))
	case bpf.RetConstant:
		if i.Val == 0 {
			return one(asm.Ja.Label(refuse))
		}
		return one(asm.Ja.Label(accept))
	}
	return one(asm.Ja.Label(accept)) // the scripts have no other
}

func aluOp(op bpf.ALUOp) asm.ALUOp {
	return map[bpf.ALUOp]asm.ALUOp{
		bpf.ALUOpAnd: asm.And, bpf.ALUOpOr: asm.Or, bpf.ALUOpXor: asm.Xor, bpf.ALUOpShiftLeft: asm.LSh, bpf.ALUOpShiftRight: asm.RSh,
		bpf.ALUOpAdd: asm.Add, bpf.ALUOpSub: asm.Sub, bpf.ALUOpMul: asm.Mul,
	}[op]
}

// unseen is what slotSeen says before an attribute is found that all messages
// have, and seen after it. Neither is zero: see slotAt.
const (
	unseen = 1
	seen   = 2
)

// walk looks at a message's attributes one after the other and fills the slots
// of those that are wanted; what it cannot read is accepted. The last of several
// of one kind counts, as in the decoder.
func walk(wanted []attribute, name, accept string) asm.Instructions {
	p := asm.Instructions{asm.Mov.Imm(regAt, attrsAt)}
	found := int32(seen)
	for _, a := range wanted {
		p = append(p, asm.StoreImm(asm.RFP, slotAt(a.slot), -1, asm.Word)) // upside down while the walk goes on
		if a.always {
			found = unseen
		}
	}
	p = append(p,
		asm.StoreImm(asm.RFP, slotAt(slotSeen), int64(found), asm.Word),
		asm.Mov.Imm(regCount, 0),
		asm.JGE.Reg(regAt, regLen, name+"done").WithSymbol(name+"loop"),
		asm.JGE.Imm(regCount, maxWalk, accept),
	)
	p = append(p, attributeHeader(accept)...)
	for i, a := range wanted {
		p = append(p, asm.JEq.Imm(regT, int32(a.kind), name+"found"+strconv.Itoa(i)))
	}
	p = append(p,
		asm.LoadMem(regA, asm.RFP, slotAt(slotLen), asm.Word).WithSymbol(name+"next"),
		asm.Add.Imm(regA, 3),
		asm.And.Imm(regA, ^3),
		asm.Add.Reg(regAt, regA),
		asm.Add.Imm(regCount, 1),
		asm.Ja.Label(name+"loop"),
	)
	for i, a := range wanted {
		p = append(p, takeValue(&a, name+"found"+strconv.Itoa(i), name+"next", accept)...)
	}
	// A message that lacks what all have is not of the kernel's.
	p = append(p,
		asm.LoadMem(regA, asm.RFP, slotAt(slotSeen), asm.Word).WithSymbol(name+"done"),
		asm.JNE.Imm(regA, seen, accept),
	)
	for _, a := range wanted {
		p = append(p,
			asm.LoadMem(regA, asm.RFP, slotAt(a.slot), asm.Word),
			asm.Xor.Imm32(regA, -1),
			asm.StoreMem(asm.RFP, slotAt(a.slot), regA, asm.Word),
		)
	}
	return p
}

// attributeHeader reads the header at regAt: the length goes to slotLen, the type
// to regT. An attribute that is not whole is accepted.
func attributeHeader(accept string) asm.Instructions {
	p := asm.Instructions{
		asm.Mov.Reg(regT, regAt),
		asm.Add.Imm(regT, attrLen),
		asm.JGT.Reg(regT, regLen, accept),
		asm.LoadInd(regA, regAt, 0, asm.Word),
		asm.HostTo(asm.BE, regA, asm.Word), // a load has turned it
		asm.Mov.Reg(regT, regA),
	}
	length, kind := regA, regT // as they stand on a little-endian host
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		length, kind = regT, regA
	}
	p = append(p,
		asm.And.Imm(length, 0xffff),
		asm.RSh.Imm(kind, 16),
	)
	if kind != regT {
		p = append(p, asm.Mov.Reg(asm.R2, regA), asm.Mov.Reg(regA, regT), asm.Mov.Reg(regT, asm.R2))
	}
	return append(p,
		asm.And.Imm(regT, nlaTypeMask),
		asm.JLT.Imm(regA, attrLen, accept),
		asm.StoreMem(asm.RFP, slotAt(slotLen), regA, asm.Word),
		asm.Add.Reg(regA, regAt),
		asm.JGT.Reg(regA, regLen, accept),
	)
}

// takeValue fills an attribute's slot; one of an odd length is accepted.
func takeValue(a *attribute, here, next, accept string) asm.Instructions {
	p := asm.Instructions{
		asm.LoadMem(regT, asm.RFP, slotAt(slotLen), asm.Word).WithSymbol(here),
		asm.JNE.Imm(regT, int32(attrLen+a.size), accept),
		asm.LoadInd(regA, regAt, attrLen, sizeOf(a.size)),
		asm.Xor.Imm32(regA, -1),
		asm.StoreMem(asm.RFP, slotAt(a.slot), regA, asm.Word),
	}
	if a.always {
		p = append(p, asm.StoreImm(asm.RFP, slotAt(slotSeen), seen, asm.Word))
	}
	return append(p, asm.Ja.Label(next))
}
