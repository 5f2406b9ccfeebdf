package source

import "github.com/ctferry/ctferry/source/flow"

// place is where an entry stands, from 1; 0 is nowhere.
type place uint32

// chunk is how many entries are made at once: entries never move.
const chunk = 4096

// firstSlots is the index's first size, a power of two.
const firstSlots = 1024

// flowTable holds tracked flows by their flow id and tuple. It is an index of
// eight bytes a slot (the id's lower half, then the place of the entry; open
// addressing with linear probing, at most three quarters full) before entries
// in chunks. Once it has grown to its use nothing is allocated any more; it
// does not become smaller.
type flowTable struct {
	slots []uint64 // empty: 0
	used  int

	entries  []*[chunk]entry
	wides    []*[chunk]wide
	bases    []*[chunk]base // only with deltas
	deltas   bool
	made     uint32 // entries that have ever been taken
	madeWide uint32
	free     place // first of a list
	freeWide uint32
}

func (t *flowTable) at(p place) *entry { return &t.entries[(p-1)/chunk][(p-1)%chunk] }

func (t *flowTable) baseAt(p place) *base { return &t.bases[(p-1)/chunk][(p-1)%chunk] }

// wideOf finds an IPv6 entry's addresses by their number.
func (t *flowTable) wideOf(en *entry) *wide {
	n := uint32(en.addrs[0]) | uint32(en.addrs[1])<<8 | uint32(en.addrs[2])<<16 | uint32(en.addrs[3])<<24
	return &t.wides[n/chunk][n%chunk]
}

func (t *flowTable) home(slot uint64) int { return int(slot>>32) & (len(t.slots) - 1) }

// slotOf is what the index holds for an entry.
func slotOf(flowID uint64, p place) uint64 { return flowID<<32 | uint64(p) }

// find gives the place of the flow that the event names, or 0.
func (t *flowTable) find(e *flow.Event) place {
	if t.used == 0 {
		return 0
	}
	mask := len(t.slots) - 1
	for i := int(uint32(e.FlowID)) & mask; ; i = (i + 1) & mask {
		slot := t.slots[i]
		if slot == 0 {
			return 0
		}
		if uint32(slot>>32) == uint32(e.FlowID) && t.is(t.at(place(slot)), e) {
			return place(slot)
		}
	}
}

// add takes in the flow that the event names, which must not be there yet.
func (t *flowTable) add(e *flow.Event) place {
	if (t.used+1)*4 > len(t.slots)*3 {
		t.grow()
	}
	p := t.take()
	en := t.at(p)
	*en = entry{is: isTaken}
	if e.Orig.Family == flow.IPv6 {
		en.is |= isIPv6
		t.takeWide(en)
	}
	t.name(en, e)
	if t.deltas {
		*t.baseAt(p) = base{}
	}
	t.put(slotOf(e.FlowID, p))
	t.used++
	return p
}

func (t *flowTable) put(slot uint64) {
	mask := len(t.slots) - 1
	i := t.home(slot)
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = slot
}

// grow doubles the index. It reads nothing but the index.
func (t *flowTable) grow() {
	old := t.slots
	t.slots = make([]uint64, max(firstSlots, 2*len(old)))
	for _, slot := range old {
		if slot != 0 {
			t.put(slot)
		}
	}
}

// take gives a place for an entry.
func (t *flowTable) take() place {
	if p := t.free; p != 0 {
		t.free = place(t.at(p).next)
		return p
	}
	if t.made%chunk == 0 {
		t.entries = append(t.entries, new([chunk]entry))
		if t.deltas {
			t.bases = append(t.bases, new([chunk]base))
		}
	}
	t.made++
	return place(t.made)
}

// takeWide gives an entry room for its addresses.
func (t *flowTable) takeWide(en *entry) {
	n := t.madeWide
	if t.freeWide != 0 {
		n = t.freeWide - 1
		w := &t.wides[n/chunk][n%chunk]
		t.freeWide = uint32(w[0][0]) | uint32(w[0][1])<<8 | uint32(w[0][2])<<16 | uint32(w[0][3])<<24
	} else {
		if n%chunk == 0 {
			t.wides = append(t.wides, new([chunk]wide))
		}
		t.madeWide++
	}
	en.addrs[0], en.addrs[1], en.addrs[2], en.addrs[3] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
}

// giveWide is the inverse of takeWide: free ones are a list through their first
// address.
func (t *flowTable) giveWide(en *entry) {
	n := uint32(en.addrs[0]) | uint32(en.addrs[1])<<8 | uint32(en.addrs[2])<<16 | uint32(en.addrs[3])<<24
	w := &t.wides[n/chunk][n%chunk]
	f := t.freeWide
	w[0][0], w[0][1], w[0][2], w[0][3] = byte(f), byte(f>>8), byte(f>>16), byte(f>>24)
	t.freeWide = n + 1
}

// remove lets an entry go.
func (t *flowTable) remove(p place) {
	en := t.at(p)
	t.unindex(slotOf(en.flowID, p))
	if en.is&isIPv6 != 0 {
		t.giveWide(en)
	}
	*en = entry{next: uint32(t.free)}
	t.free = p
	t.used--
}

// unindex takes a slot out and moves those behind it up, so that no search ends
// before its goal.
func (t *flowTable) unindex(slot uint64) {
	mask := len(t.slots) - 1
	i := t.home(slot)
	for t.slots[i] != slot {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; t.slots[j] != 0; j = (j + 1) & mask {
		if home := t.home(t.slots[j]); (j-home)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = 0
}

// renew makes an entry one of a flow of which nothing is known but its name.
func (t *flowTable) renew(p place) {
	en := t.at(p)
	*en = entry{
		flowID: en.flowID, id: en.id, proto: en.proto, zone: en.zone, tupleZones: en.tupleZones,
		ports: en.ports, addrs: en.addrs, next: en.next, is: en.is & (isName | isListed),
	}
	if t.deltas {
		*t.baseAt(p) = base{}
	}
}

// bytes is the memory that the table has taken.
func (t *flowTable) bytes() int {
	const entrySize, wideSize, baseSize = 120, 64, 40
	return 8*len(t.slots) + chunk*(entrySize*len(t.entries)+wideSize*len(t.wides)+baseSize*len(t.bases))
}
