package testnet

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Rule is something for [Namespace.Lay] to lay, made by the functions of this package
// that return one.
type Rule struct {
	name string
	lay  func(*ruleset) error
}

// Lay adds rules to the namespace's nftables table "testnet" (family inet), all or
// none. Rules stay until the namespace ends and act on packets sent in it.
func (ns *Namespace) Lay(rules ...Rule) error {
	return ns.Do(func() error {
		conn, err := nftables.New()
		if err != nil {
			return fmt.Errorf("nftables: %w", err)
		}
		set := newRuleset(conn)
		for _, rule := range rules {
			if err := rule.lay(set); err != nil {
				return fmt.Errorf("rule %s: %w", rule.name, err)
			}
		}
		if err := conn.Flush(); err != nil {
			return fmt.Errorf("lay %d nftables rules: %w", len(rules), err)
		}
		return nil
	})
}

// Track turns connection tracking on and accepts everything. Without a rule that asks
// about connections the kernel tracks nothing in a namespace; any other rule of this
// package does that too.
func Track() Rule {
	return Rule{"track", func(s *ruleset) error {
		state := &expr.Ct{Key: expr.CtKeySTATE, Register: 1}
		accept := &expr.Verdict{Kind: expr.VerdictAccept}
		return errors.Join(s.add(atInput, Match{}, state, accept), s.add(atOutput, Match{}, state, accept))
	}}
}

// place is where in a packet's way a chain stands. Everything in a namespace is sent
// from it, so the output hook sees each packet of both directions once.
type place int

const (
	atInput place = iota
	atOutput
	beforeTrack
	afterTrack
	atDestNAT
	atSourceNAT
)

// chain describes the chain that stands at p.
func (p place) chain() nftables.Chain {
	filter, nat := nftables.ChainTypeFilter, nftables.ChainTypeNAT
	return [...]nftables.Chain{
		atInput:     {Name: "input", Type: filter, Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter},
		atOutput:    {Name: "output", Type: filter, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter},
		beforeTrack: {Name: "before_track", Type: filter, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityRaw},
		afterTrack:  {Name: "after_track", Type: filter, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityMangle},
		atDestNAT:   {Name: "dest_nat", Type: nat, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest},
		atSourceNAT: {Name: "source_nat", Type: nat, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource},
	}[p]
}

// ruleset is one transaction with the kernel.
type ruleset struct {
	conn   *nftables.Conn
	table  *nftables.Table
	chains map[place]*nftables.Chain
}

// newRuleset starts a transaction on the table, which it makes if need be.
func newRuleset(conn *nftables.Conn) *ruleset {
	return &ruleset{
		conn:   conn,
		table:  conn.AddTable(&nftables.Table{Name: "testnet", Family: nftables.TableFamilyINet}),
		chains: map[place]*nftables.Chain{},
	}
}

// chain is the chain at p, made at its first use.
func (s *ruleset) chain(p place) *nftables.Chain {
	c, ok := s.chains[p]
	if !ok {
		described := p.chain()
		described.Table = s.table
		c = s.conn.AddChain(&described)
		s.chains[p] = c
	}
	return c
}

// add puts a rule at the end of the chain at p.
func (s *ruleset) add(p place, m Match, action ...expr.Any) error {
	condition, err := m.exprs()
	if err != nil {
		return err
	}
	s.conn.AddRule(&nftables.Rule{Table: s.table, Chain: s.chain(p), Exprs: append(condition, action...)})
	return nil
}
