package source

import "github.com/ctferry/ctferry/source/flow"

// The classes of protocols that are counted apart; the last is every other one.
const (
	protoClasses = 8
	protoOther   = protoClasses - 1
)

func classedProtos() [protoOther]uint8 {
	return [protoOther]uint8{flow.ProtoTCP, flow.ProtoUDP, flow.ProtoICMP, flow.ProtoICMPv6, flow.ProtoSCTP, flow.ProtoDCCP, flow.ProtoGRE}
}

// tally counts events by table, type and protocol. It runs for every event, so
// it has a table for the protocol and bounds that need no check.
type tally struct {
	class [256]uint8      // of a protocol
	n     [4][4][8]uint64 // by flow.Table, flow.Type up to TypeDestroy, class
}

func newTally() (t tally) {
	for i := range t.class {
		t.class[i] = protoOther
	}
	for i, p := range classedProtos() {
		t.class[p] = uint8(i)
	}
	return t
}

// add counts what a socket has read: events of the kernel's three types.
func (t *tally) add(events []flow.Event) {
	for i := range events {
		e := &events[i]
		t.n[e.Table&3][e.Type&3][t.class[e.Proto]&7]++
	}
}

// counts lists every kind, at zero too.
func (t *tally) counts() []flow.EventCount {
	all := make([]flow.EventCount, 0, 2*3*protoClasses)
	for table := flow.TableConntrack; table <= flow.TableExpect; table++ {
		for kind := flow.TypeNew; kind <= flow.TypeDestroy; kind++ {
			for class := range protoClasses {
				all = append(all, flow.EventCount{Table: table.String(), Event: kind.String(), Proto: className(class), Count: t.n[table][kind][class]})
			}
		}
	}
	return all
}

func className(class int) string {
	if class < protoOther {
		return flow.ProtoName(classedProtos()[class])
	}
	return "other"
}
