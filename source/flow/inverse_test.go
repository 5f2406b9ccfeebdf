package flow

import "testing"

func TestTupleInverse(t *testing.T) {
	a := Tuple{Has: HasAddrs | HasPorts | HasProto | HasTupleZone, Proto: 6, Family: IPv4, Src: Addr{1}, Dst: Addr{2}, SrcPort: 3, DstPort: 4, Zone: 5}
	r, ok := a.Inverse()
	if !ok || r.Src != a.Dst || r.Dst != a.Src || r.SrcPort != 4 || r.DstPort != 3 || r.Has != a.Has&^HasTupleZone {
		t.Errorf("%+v, %v", r, ok)
	}
	a.Has &^= HasTupleZone
	if back, _ := r.Inverse(); !back.Equal(&a) {
		t.Errorf("%+v", back)
	}
	half := Tuple{Has: HasSrc | HasDstPort, Src: Addr{1}, DstPort: 4}
	if r, _ := half.Inverse(); r.Has != HasDst|HasSrcPort || r.Dst != half.Src || r.SrcPort != 4 {
		t.Errorf("%+v", r)
	}
	for _, c := range []struct {
		proto, of, want uint8
		ok              bool
	}{{1, 8, 0, true}, {1, 0, 8, true}, {1, 13, 14, true}, {1, 3, 3, false}, {58, 128, 129, true}, {58, 8, 8, false}, {58, 140, 139, true}} {
		q := Tuple{Has: HasICMP | HasProto, Proto: c.proto, ICMPType: c.of, ICMPID: 7}
		if r, ok := q.Inverse(); ok != c.ok || r.ICMPType != c.want || r.ICMPID != 7 {
			t.Errorf("%d %d: %+v, %v", c.proto, c.of, r, ok)
		}
	}
}
