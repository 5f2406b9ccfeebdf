package ctnetlink

import (
	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// Groups is a set of multicast groups (enum nfnetlink_groups); group n is bit n-1.
type Groups uint32

// The groups of both tables.
const (
	ConntrackNew     Groups = 1 << (unix.NFNLGRP_CONNTRACK_NEW - 1)
	ConntrackUpdate  Groups = 1 << (unix.NFNLGRP_CONNTRACK_UPDATE - 1)
	ConntrackDestroy Groups = 1 << (unix.NFNLGRP_CONNTRACK_DESTROY - 1)
	ExpectNew        Groups = 1 << (unix.NFNLGRP_CONNTRACK_EXP_NEW - 1)
	ExpectUpdate     Groups = 1 << (unix.NFNLGRP_CONNTRACK_EXP_UPDATE - 1)
	ExpectDestroy    Groups = 1 << (unix.NFNLGRP_CONNTRACK_EXP_DESTROY - 1)

	allGroups = ConntrackNew | ConntrackUpdate | ConntrackDestroy | ExpectNew | ExpectUpdate | ExpectDestroy
)

// GroupsOf gives the groups that carry a table's events of the given types.
// Types that are not the kernel's have no group.
func GroupsOf(table flow.Table, types flow.Types) Groups {
	of := [3]Groups{ConntrackNew, ConntrackUpdate, ConntrackDestroy}
	if table == flow.TableExpect {
		of = [3]Groups{ExpectNew, ExpectUpdate, ExpectDestroy}
	}
	var g Groups
	for i, t := range [3]flow.Type{flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy} {
		if types.Has(t) {
			g |= of[i]
		}
	}
	return g
}

// each calls f with the number of every group, lowest first.
func (g Groups) each(f func(uint32) error) error {
	for n := uint32(1); g != 0; n, g = n+1, g>>1 {
		if g&1 == 0 {
			continue
		}
		if err := f(n); err != nil {
			return err
		}
	}
	return nil
}
