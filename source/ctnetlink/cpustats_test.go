package ctnetlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// TestCPUStats compares with conntrack -S of the same namespace, word by word.
func TestCPUStats(t *testing.T) {
	ns := quiet(t)
	if err := ns.Lay(testnet.UseHelper(testnet.Match{Proto: unix.IPPROTO_TCP, DstPort: 21}, "ftp")); err != nil {
		t.Fatal(err)
	}
	if _, err := (testnet.Traffic{NS: ns, Port: 21}).FTP(t.Context(), 3, true); err != nil {
		t.Fatal(err)
	}
	c := dialNS(t, ns)
	churn(t, testnet.Churn{NS: ns, Entries: 20, Keep: true})
	for table, counter := range map[flow.Table]flow.CPUStat{flow.TableConntrack: flow.StatInsert, flow.TableExpect: flow.StatExpectCreate} {
		stats, err := c.CPUStats(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		sum := uint32(0)
		for _, s := range stats {
			words := []string{fmt.Sprintf("cpu=%d", s.CPU)}
			for _, stat := range s.Present() {
				v, _ := s.Get(stat)
				words = append(words, fmt.Sprintf("%s=%d", stat, v))
			}
			got = append(got, strings.Join(words, " "))
			v, _ := s.Get(counter)
			sum += v
		}
		var want []string
		for _, line := range ns.Conntrack(t, "-S", table.String()) {
			want = append(want, strings.Join(strings.Fields(line), " "))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nconntrack\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if sum == 0 {
			t.Errorf("%v: no %v was counted: %v", table, counter, got)
		}
	}
	if _, err := c.CPUStats(t.Context(), flow.TableUnspecified); !errors.Is(err, errTable) {
		t.Errorf("no table: %v", err)
	}
}

func TestCPUStatsDecode(t *testing.T) {
	body := func(cpu uint16, attrs func(*writer)) *message {
		p := append([]byte{0, 0}, binary.BigEndian.AppendUint16(nil, cpu)...)
		return &message{body: append(p, written(attrs)...)}
	}
	s, err := cpuStats(body(300, func(w *writer) {
		for kind := range uint16(16) {
			w.put32(kind, uint32(kind)*7)
		}
		w.put64(99, 1)
	}), flow.TableConntrack)
	if v, ok := s.Get(flow.StatFound); err != nil || s.CPU != 300 || len(s.Present()) != 15 || v != 14 || !ok {
		t.Errorf("%+v: %v", s, err)
	}
	if v, _ := s.Get(flow.StatChainTooLong); v != 105 {
		t.Errorf("%+v", s)
	}
	x, err := cpuStats(body(1, func(w *writer) { w.put32(3, 5); w.put32(4, 6) }), flow.TableExpect)
	if v, ok := x.Get(flow.StatExpectDelete); err != nil || v != 5 || !ok || len(x.Present()) != 1 {
		t.Errorf("%+v: %v", x, err)
	}
	for want, m := range map[error]*message{
		errGen:    {body: []byte{1, 2}},
		errAttr:   {body: []byte{0, 0, 0, 0, 3, 0, 1, 0}},
		errLength: body(0, func(w *writer) { w.put16(2, 1) }),
	} {
		if _, err := cpuStats(m, flow.TableConntrack); !errors.Is(err, want) {
			t.Errorf("%v, expected %v", err, want)
		}
	}
}
