package testnet

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// labelBits is how many connection labels there are (XT_CONNLABEL_MAXBIT + 1).
const labelBits = 128

// SetMark gives connections a mark (ct mark).
func SetMark(m Match, mark uint32) Rule {
	return Rule{"ct mark", func(s *ruleset) error {
		return s.add(afterTrack, m, setCt(expr.CtKeyMARK, binaryutil.NativeEndian.PutUint32(mark))...)
	}}
}

// SetLabel gives connections one label, a bit from 0 to 127 (ct label), and takes the
// other labels from them. Connections older than the rule have no room for labels.
func SetLabel(m Match, bit int) Rule {
	return Rule{"ct label", func(s *ruleset) error {
		if bit < 0 || bit >= labelBits {
			return fmt.Errorf("label bit %d: expected 0 to %d", bit, labelBits-1)
		}
		return s.add(afterTrack, m, setCt(expr.CtKeyLABELS, labelMask(bit))...)
	}}
}

// labelMask is the kernel's bitmap: an array of words in the host's byte order.
func labelMask(bit int) []byte {
	var out []byte
	for word := range labelBits / 32 {
		var v uint32
		if bit/32 == word {
			v = 1 << (bit % 32)
		}
		out = append(out, binaryutil.NativeEndian.PutUint32(v)...)
	}
	return out
}

// SetZone tracks the packets that match, and those that answer them, in a zone of their
// own (ct zone); the same tuple may then exist once in each zone.
func SetZone(m Match, zone uint16) Rule {
	return Rule{"ct zone", func(s *ruleset) error {
		for _, way := range []Match{m, m.back()} {
			err := s.add(beforeTrack, way, setCt(expr.CtKeyZONE, binaryutil.NativeEndian.PutUint16(zone))...)
			if err != nil {
				return err
			}
		}
		return nil
	}}
}

// setCt writes a value into a connection, by way of register 1.
func setCt(key expr.CtKey, value []byte) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: value},
		&expr.Ct{Key: key, Register: 1, SourceRegister: true},
	}
}

// UseHelper attaches one of the kernel's connection helpers, such as "ftp", to new
// connections that match. The match needs a protocol. A kernel without that helper
// refuses the rule with ENOENT.
func UseHelper(m Match, helper string) Rule {
	return Rule{"ct helper " + helper, func(s *ruleset) error {
		if m.Proto == 0 {
			return fmt.Errorf("helper %q needs a protocol in the match", helper)
		}
		name := fmt.Sprintf("%s-%d", helper, m.Proto)
		s.conn.AddObj(&nftables.NamedObj{
			Table: s.table, Name: name, Type: nftables.ObjTypeCtHelper,
			Obj: &expr.CtHelper{Name: helper, L3Proto: unix.NFPROTO_INET, L4Proto: m.Proto},
		})
		return s.add(afterTrack, m, &expr.Objref{Type: int(nftables.ObjTypeCtHelper), Name: name})
	}}
}
