package ctnetlink

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// golden describes a datagram: of an event socket, or of a dump, whose messages
// carry NLM_F_MULTI.
func golden(p []byte) (string, error) {
	m, _, err := cutMessage(p)
	if err != nil {
		return "", err
	}
	b := flow.NewBatch(64)
	var d decoder
	if m.flags&unix.NLM_F_MULTI == 0 {
		_, err = d.datagram(b, p)
	} else {
		err = dumpRows(&d, b, p)
	}
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for i := range b.Events() {
		text.WriteString(describe(&b.Events()[i]) + "\n")
	}
	return text.String(), nil
}

func dumpRows(d *decoder, b *flow.Batch, p []byte) error {
	for len(p) > 0 {
		m, rest, err := cutMessage(p)
		if err != nil {
			return err
		}
		p = rest
		if m.kind == unix.NLMSG_DONE {
			continue
		}
		table := flow.TableConntrack
		if m.subsystem() == unix.NFNL_SUBSYS_CTNETLINK_EXP {
			table = flow.TableExpect
		}
		if err := d.entry(b, &m, table, flow.TypeDump); err != nil {
			return err
		}
	}
	return nil
}

// TestGolden decodes datagrams that this kernel sent (Linux 6.18; see
// TestScenes), and compares with what was reviewed then.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bin")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d golden datagrams: %v", len(files), err)
	}
	for _, name := range files {
		p, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(strings.TrimSuffix(name, ".bin") + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := golden(p); err != nil || got != string(want) {
			t.Errorf("%s: %v\ngot\n%swant\n%s", name, err, got, want)
		}
	}
}
