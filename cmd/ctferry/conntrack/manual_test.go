package conntrack

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// TestManual: the manual page has every option, every word of -o and -e, and
// every protocol that the grammar knows.
func TestManual(t *testing.T) {
	page, err := os.ReadFile("../../../docs/ctferry.8")
	if err != nil {
		t.Fatal(err)
	}
	word := map[string]bool{}
	for _, w := range regexp.MustCompile(`[A-Za-z0-9_-]+`).FindAllString(string(page), -1) {
		word[strings.TrimLeft(w, "-")] = true
	}
	all := options()
	for num := range 256 {
		if p := protocolOf(uint8(num)); p != nil {
			all = append(all, p.options...)
			if !word[flow.ProtoName(p.num)] {
				t.Errorf("no protocol %s", flow.ProtoName(p.num))
			}
		}
	}
	for _, o := range all {
		if o.key == kNATRange {
			continue // refused: see Differences
		}
		for _, name := range append([]string{string(o.short)}, o.names...) {
			if !word[name] && name != "\x00" {
				t.Errorf("no option %s (%s)", name, o.names[0])
			}
		}
	}
	for _, w := range append(Output(1<<9-1).Words(), "ALL", "NEW", "UPDATES", "DESTROY", "dying", "unconfirmed", "expect") {
		if !word[w] {
			t.Errorf("no word %s", w)
		}
	}
}
