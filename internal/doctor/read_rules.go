package doctor

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Rules are what a namespace's packet filter asks of connection tracking.
type Rules struct {
	Track   int      // rules that turn tracking on
	By      []string // what does so, without doubles: "nftables ct", "iptables conntrack"
	NoTrack int      // rules that take packets out of it
	Labels  int      // rules that make room for labels
	Zones   int      // rules that put connections into a zone
	Mask    int      // rules that narrow a flow's events (ct event set)
	Offload int      // rules that hand flows to a flowtable
	Blind   string   // what could not be read, or ""
}

func (r *Rules) by(what string) {
	r.Track++
	if !slices.Contains(r.By, what) {
		r.By = append(r.By, what)
	}
}

// readRules reads the rules of nftables, and of iptables in its old form.
func readRules(ctx context.Context) (Rules, error) {
	var r Rules
	err := eachMessage(ctx, unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETRULE, unix.AF_UNSPEC, nil, r.addRule)
	if err != nil {
		return r, fmt.Errorf("rules of nftables: %w", err)
	}
	r.addLegacy()
	return r, nil
}

// eachMessage dumps from nfnetlink and calls f with each message's attributes.
func eachMessage(ctx context.Context, kind uint16, family byte, attrs []netlink.Attribute, f func([]byte) error) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	if until, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(until); err != nil {
			return err
		}
	}
	data, err := netlink.MarshalAttributes(attrs)
	if err != nil {
		return err
	}
	messages, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | netlink.Dump},
		Data:   append([]byte{family, unix.NFNETLINK_V0, 0, 0}, data...),
	})
	if err != nil {
		return err
	}
	for _, m := range messages {
		if len(m.Data) < 4 { // struct nfgenmsg
			continue
		}
		if err := f(m.Data[4:]); err != nil {
			return err
		}
	}
	return nil
}

// Attributes of linux/netfilter/nf_tables.h that package unix has no name for.
const (
	nftaListElem   = 1
	nftaExprName   = 1
	nftaExprData   = 2
	nftaCtKey      = 2
	nftaCtSReg     = 4
	nftaCompatName = 1 // NFTA_MATCH_NAME and NFTA_TARGET_NAME
	nftaObjectKind = 1 // NFTA_OBJREF_IMM_TYPE
	typeMask       = 0x3fff
)

// addRule takes the attributes of one rule.
func (r *Rules) addRule(data []byte) error {
	expressions, err := attribute(data, unix.NFTA_RULE_EXPRESSIONS)
	if err != nil || expressions == nil {
		return err
	}
	elements, err := netlink.UnmarshalAttributes(expressions)
	if err != nil {
		return err
	}
	for _, e := range elements {
		if e.Type&typeMask != nftaListElem {
			continue
		}
		name, err := attribute(e.Data, nftaExprName)
		if err != nil {
			return err
		}
		body, err := attribute(e.Data, nftaExprData)
		if err != nil {
			return err
		}
		r.addExpression(text(name), body)
	}
	return nil
}

// addExpression takes one expression of a rule.
func (r *Rules) addExpression(name string, data []byte) {
	switch name {
	case "ct":
		r.by("nftables ct")
		r.addCt(data)
	case "nat", "masq", "redir", "connlimit", "synproxy":
		r.by("nftables " + name)
	case "flow_offload":
		r.by("nftables flow add")
		r.Offload++
	case "notrack":
		r.NoTrack++
	case "objref":
		switch kind := number(data, nftaObjectKind); kind {
		case unix.NFT_OBJECT_CT_HELPER, unix.NFT_OBJECT_CT_TIMEOUT, unix.NFT_OBJECT_CT_EXPECT, unix.NFT_OBJECT_CONNLIMIT, unix.NFT_OBJECT_SYNPROXY:
			r.by("nftables object of ct")
		}
	case "match", "target":
		if v, err := attribute(data, nftaCompatName); err == nil {
			r.addExtension("iptables", text(v))
		}
	}
}

// addCt takes the body of a ct expression.
func (r *Rules) addCt(data []byte) {
	sets, _ := attribute(data, nftaCtSReg)
	switch key := number(data, nftaCtKey); {
	case key == unix.NFT_CT_LABELS && sets != nil:
		r.Labels++
	case key == unix.NFT_CT_ZONE && sets != nil:
		r.Zones++
	case key == unix.NFT_CT_EVENTMASK && sets != nil:
		r.Mask++
	}
}

// extensions are iptables's matches and targets that need connection tracking.
func extensions() []string {
	return []string{
		"conntrack", "state", "connmark", "connlabel", "connbytes", "connlimit", "helper", "cluster",
		"CONNMARK", "CONNSECMARK", "CT", "SNAT", "DNAT", "MASQUERADE", "REDIRECT", "NETMAP", "SYNPROXY", "CLUSTERIP", "FLOWOFFLOAD",
	}
}

// addExtension takes one match or target of iptables.
func (r *Rules) addExtension(program, name string) {
	switch name {
	case "connlabel":
		r.Labels++
	case "CT": // it can set a zone, a helper, events, or nothing of these
		r.Zones++
	case "FLOWOFFLOAD":
		r.Offload++
	case "NOTRACK":
		r.NoTrack++
	}
	if slices.Contains(extensions(), name) {
		r.by(program + " " + name)
	}
}

// attribute finds one attribute's payload, nil if it is not there.
func attribute(data []byte, kind uint16) ([]byte, error) {
	all, err := netlink.UnmarshalAttributes(data)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if a.Type&typeMask == kind {
			return a.Data, nil
		}
	}
	return nil, nil
}

// number is an attribute's 32 bits in network byte order; 0 if there is none.
func number(data []byte, kind uint16) uint32 {
	v, err := attribute(data, kind)
	if err != nil || len(v) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(v)
}

// text is a string of the kernel's.
func text(b []byte) string { return strings.TrimRight(string(b), "\x00") }
