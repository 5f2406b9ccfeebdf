package frontend

import (
	"os"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
)

// Names are what the machine calls protocols and label bits.
type Names struct {
	protocols, labels map[string]uint8
	byBit             map[uint8]string
	cache             map[[16]byte][]string
}

// NewNames takes names from the texts of protocols(5) and connlabel.conf.
func NewNames(protocols, labels string) *Names {
	n := &Names{protocols: conntrack.ProtocolNames(protocols), labels: conntrack.LabelNames(labels), byBit: map[uint8]string{}, cache: map[[16]byte][]string{}}
	for name, bit := range n.labels {
		if old, taken := n.byBit[bit]; !taken || name < old {
			n.byBit[bit] = name
		}
	}
	return n
}

// ReadNames reads /etc/protocols and connlabel.conf, which libnetfilter_conntrack
// keeps in /etc/xtables; a file that cannot be read names nothing.
func ReadNames() *Names {
	read := func(paths ...string) string {
		for _, path := range paths {
			if text, err := os.ReadFile(path); err == nil {
				return string(text)
			}
		}
		return ""
	}
	return NewNames(read("/etc/protocols"), read("/etc/xtables/connlabel.conf", "/etc/connlabel.conf"))
}

func (n *Names) protocol(name string) (uint8, bool) {
	num, ok := n.protocols[name]
	return num, ok
}

func (n *Names) label(name string) bool {
	_, ok := n.labels[name]
	return ok
}

// maxNames bounds the cache; a full one starts again, empty.
const maxNames = 1024

// list names the bits of CTA_LABELS that have a name.
func (n *Names) list(labels [16]byte) []string {
	if names, ok := n.cache[labels]; ok {
		return names
	}
	var names []string
	for bit := range uint8(128) {
		if name := n.byBit[bit]; name != "" && labels[bit/8]>>(bit%8)&1 == 1 {
			names = append(names, name)
		}
	}
	if len(n.cache) >= maxNames {
		clear(n.cache)
	}
	n.cache[labels] = names
	return names
}

// bits gives the bits of names, which the parser has found to be known.
func (n *Names) bits(names []string) (set [16]byte) {
	for _, name := range names {
		bit := n.labels[name]
		set[bit/8] |= 1 << (bit % 8)
	}
	return set
}
