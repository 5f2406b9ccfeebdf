package flow

import (
	"fmt"
	"slices"
	"strings"
)

// natWords are the values of nat. snat and dnat ask for one side, whatever the
// other is.
var natWords = [...]struct {
	name string
	set  []Range // of NATKind
}{
	{"none", []Range{{0, 0}}},
	{"any", []Range{{1, 3}}},
	{"snat", []Range{{1, 1}, {3, 3}}},
	{"dnat", []Range{{2, 3}}},
	{"both", []Range{{3, 3}}},
}

// words lists what a field's values may be called.
func words(f Field) []string {
	switch f {
	case FieldEventType:
		return typeNames[TypeNew:TypeGap]
	case FieldTable:
		return tableNames[TableConntrack:]
	case FieldFamily:
		return []string{IPv4.String(), IPv6.String()}
	case FieldProto:
		return ProtoNames()
	case FieldRole:
		return []string{"client", "server"}
	case FieldSrcNAT, FieldDstNAT, FieldAnyNAT:
		return []string{"true", "false"}
	case FieldNAT:
		names := make([]string, len(natWords))
		for i, w := range natWords {
			names[i] = w.name
		}
		return names
	case FieldStatus:
		return append(slices.Clone(statusNames[:]), "UNREPLIED", "UNSET")
	case FieldState:
		return append(stateNames(protosStates), "LISTEN")
	}
	return nil
}

// wordRanges gives the numbers that a word stands for, nil if it is none.
func wordRanges(f Field, word string) []Range {
	word = strings.ToLower(word)
	if f == FieldNAT {
		for _, w := range natWords {
			if w.name == word {
				return w.set
			}
		}
		return nil
	}
	for _, n := range wordNumbers(f) {
		if numberWord(f, n) == word {
			return []Range{{n, n}}
		}
	}
	return nil
}

// wordNumbers lists the numbers that have a word.
func wordNumbers(f Field) []uint32 {
	switch f {
	case FieldEventType:
		return []uint32{1, 2, 3, 4, 5, 6}
	case FieldTable:
		return []uint32{1, 2}
	case FieldFamily:
		return []uint32{uint32(IPv4), uint32(IPv6)}
	case FieldProto:
		nums := make([]uint32, len(namedProtos))
		for i, n := range namedProtos {
			nums[i] = uint32(n)
		}
		return nums
	case FieldRole, FieldSrcNAT, FieldDstNAT, FieldAnyNAT:
		return []uint32{0, 1}
	}
	return nil
}

// numberWord is the word for a number, or "".
func numberWord(f Field, n uint32) string {
	switch f {
	case FieldEventType:
		return Type(n).String()
	case FieldTable:
		return Table(n).String()
	case FieldFamily:
		return Family(n).String()
	case FieldProto:
		return ProtoName(uint8(n))
	case FieldRole:
		return strings.ToLower(DCCPRoleName(uint8(n)))
	case FieldSrcNAT, FieldDstNAT, FieldAnyNAT:
		return [...]string{"false", "true"}[n&1]
	}
	return ""
}

// addStatus adds a word or value/mask to what the status must be. All words of
// a list make one value.
func (p *Predicate) addStatus(s string) string {
	m, ok := statusWord(s)
	if !ok {
		v, mask, isMask := strings.Cut(s, "/")
		value, ok1 := parseNumber(v, maxU32)
		bits, ok2 := parseNumber(mask, maxU32)
		if !isMask || !ok1 || !ok2 || bits == 0 {
			return p.unknownWord(&fields[FieldStatus], s)
		}
		m = Masked{value, bits}
	}
	if m.Value&^m.Mask != 0 {
		return fmt.Sprintf("%s has value bits outside its mask and would never match", s)
	}
	if len(p.Masks) == 0 {
		p.Masks = []Masked{m}
		return ""
	}
	have := &p.Masks[0]
	if both := have.Mask & m.Mask; have.Value&both != m.Value&both {
		return fmt.Sprintf("%s contradicts the rest of the list, all of which must hold", s)
	}
	have.Mask, have.Value = have.Mask|m.Mask, have.Value|m.Value
	return ""
}

// unset is what UNSET says is not set: the status words of the manual.
const unset = StatusAssured | StatusSeenReply | StatusFixedTimeout | StatusExpected

func statusWord(s string) (Masked, bool) {
	switch {
	case strings.EqualFold(s, "UNREPLIED"):
		return Masked{0, StatusSeenReply}, true
	case strings.EqualFold(s, "UNSET"):
		return Masked{0, unset}, true
	}
	bit, ok := ParseStatus(s)
	return Masked{bit, bit}, ok
}

// addState adds a word's state in every protocol that has it.
func (p *Predicate) addState(s string) string {
	w := statesOf(s)
	if w == (States{}) {
		return p.unknownWord(&fields[FieldState], s)
	}
	p.States.TCP |= w.TCP
	p.States.SCTP |= w.SCTP
	p.States.DCCP |= w.DCCP
	return ""
}

func statesOf(word string) (s States) {
	if n, ok := ParseTCPState(word); ok {
		s.TCP = 1 << n
	}
	if n, ok := ParseSCTPState(word); ok {
		s.SCTP = 1 << n
	}
	if n, ok := ParseDCCPState(word); ok {
		s.DCCP = 1 << n
	}
	return s
}

// want says what a field's value should be.
func (i *fieldInfo) want() string {
	f, _ := ParseField(i.name)
	oneOf := strings.Join(words(f), ", ")
	switch i.kind {
	case kindNumber:
		if oneOf != "" {
			oneOf += ", "
		}
		return fmt.Sprintf("%sa number from 0 to %d or a range such as 5-9", oneOf, i.max)
	case kindMark:
		return "a number, 0x for hexadecimal, a range such as 5-9, or value/mask such as 0x1/0xff"
	case kindStatus:
		return oneOf + " or value/mask such as 0x4/0xc"
	case kindAddr:
		return "an address, a prefix such as 10.0.0.0/8 or 2001:db8::/32, a range such as 10.0.0.1-10.0.0.9, or address/mask such as 10.0.0.1/255.0.0.255"
	case kindLabel, kindLabels:
		return fmt.Sprintf("a label's name or its bit number, from 0 to %d", i.max)
	case kindText:
		return "a text (quote it if it looks like a number)"
	}
	return oneOf
}
