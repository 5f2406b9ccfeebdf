package ctnetlink

import (
	"encoding/binary"

	"github.com/ctferry/ctferry/source/flow"
)

// expect decodes the attributes of an expectation message (enum ctattr_expect).
func (d *decoder) expect(b *flow.Batch, e *flow.Event, p []byte) error {
	x := &b.ExtraFor(e).Expect
	e.Has |= flow.HasExpect
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		var has flow.ExpectHas
		var err error
		switch kind {
		case ctaExpectMaster:
			has, err = flow.HasExpectMaster, tuple(&x.Master, e.Family, val)
		case ctaExpectTuple:
			has, err = flow.HasExpectTuple, tuple(&x.Tuple, e.Family, val)
		case ctaExpectMask:
			has, err = flow.HasExpectMask, tuple(&x.Mask, e.Family, val)
		case ctaExpectTimeout:
			has, ok = flow.HasExpectTimeout, get32(val, &x.Timeout)
		case ctaExpectID:
			has, ok = flow.HasExpectID, get32(val, &x.ID)
		case ctaExpectHelpName:
			has, err = flow.HasExpectHelper, d.names.name(val, &x.Helper)
		case ctaExpectZone:
			has, ok = flow.HasExpectZone, get16(val, &x.Zone)
		case ctaExpectFlags:
			has, ok = flow.HasExpectFlags, get32(val, &x.Flags)
		case ctaExpectClass:
			has, ok = flow.HasExpectClass, get32(val, &x.Class)
		case ctaExpectNAT:
			has, err = flow.HasExpectNAT, expectNAT(x, e.Family, val)
		case ctaExpectFn:
			has, err = flow.HasExpectFn, d.names.name(val, &x.Fn)
		}
		if err != nil {
			return err
		}
		if !ok {
			return errLength
		}
		x.Has |= has
	}
	return nil
}

// expectNAT decodes CTA_EXPECT_NAT (enum ctattr_expect_nat). The direction is an
// enum ip_conntrack_dir, 0 or 1, in 32 bits.
func expectNAT(x *flow.Expectation, family flow.Family, p []byte) error {
	var got int
	for len(p) > 0 {
		kind, val, rest, ok := cutAttr(p)
		if !ok {
			return errAttr
		}
		p = rest
		switch kind {
		case ctaExpectNATDir:
			if len(val) != 4 || binary.BigEndian.Uint32(val) > 1 {
				return errLength
			}
			x.NATDir = val[3]
			got |= 1
		case ctaExpectNATTuple:
			if err := tuple(&x.NAT, family, val); err != nil {
				return err
			}
			got |= 2
		}
	}
	if got != 3 {
		return errPartial
	}
	return nil
}
