package testnet

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/google/nftables/expr"
)

// SourceNAT makes the kernel replace the source address of new connections. The address
// must be one of the namespace's for replies to arrive.
func SourceNAT(m Match, to netip.Addr) Rule {
	return Rule{"source nat", func(s *ruleset) error {
		if err := natFamily(m, to); err != nil {
			return err
		}
		return s.add(atSourceNAT, m,
			&expr.Immediate{Register: 1, Data: to.AsSlice()},
			&expr.NAT{Type: expr.NATTypeSourceNAT, Family: uint32(nfproto(to)), RegAddrMin: 1},
		)
	}}
}

// DestinationNAT makes the kernel replace the destination of new connections. With port
// 0 the port stays.
func DestinationNAT(m Match, to netip.AddrPort) Rule {
	return Rule{"destination nat", func(s *ruleset) error {
		if err := natFamily(m, to.Addr()); err != nil {
			return err
		}
		nat := &expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(nfproto(to.Addr())), RegAddrMin: 1}
		action := []expr.Any{&expr.Immediate{Register: 1, Data: to.Addr().AsSlice()}}
		if to.Port() != 0 {
			nat.RegProtoMin = 2
			action = append(action, &expr.Immediate{Register: 2, Data: binary.BigEndian.AppendUint16(nil, to.Port())})
		}
		return s.add(atDestNAT, m, append(action, nat)...)
	}}
}

// Redirect makes the kernel send new connections to a port of 127.0.0.1 or ::1.
func Redirect(m Match, port uint16) Rule {
	return Rule{"redirect", func(s *ruleset) error {
		return s.add(atDestNAT, m,
			&expr.Immediate{Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)},
			&expr.Redir{RegisterProtoMin: 1},
		)
	}}
}

// natFamily refuses a translation that would cross families.
func natFamily(m Match, to netip.Addr) error {
	for _, addr := range []netip.Addr{m.Src, m.Dst} {
		if addr.IsValid() && addr.Is4() != to.Is4() {
			return errors.New("the new address is of another family than the match")
		}
	}
	if !m.Src.IsValid() && !m.Dst.IsValid() {
		return errors.New("needs a source or destination address in the match, to tell the family")
	}
	return nil
}
