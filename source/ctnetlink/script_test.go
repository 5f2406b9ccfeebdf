package ctnetlink

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

// scripted is a receiver that gives what the test says, for what the kernel at
// hand does not do.
type scripted struct {
	receiver
	give [][]datagram
}

func (s *scripted) next() ([]datagram, error) {
	if len(s.give) == 0 {
		return nil, errSilent
	}
	got := s.give[0]
	s.give = s.give[1:]
	return got, nil
}

// row is a message of a dump with sequence number 7 for port 9.
func row(kind, flags uint16, attrs ...byte) []byte {
	var w writer
	at := w.begin(kind>>8, kind&0xff, 0, 7, flow.IPv4)
	native16(w.b[at+6:], flags|unix.NLM_F_MULTI)
	native32(w.b[at+12:], 9)
	w.b = append(w.b, attrs...)
	w.finish(at)
	return w.b
}

func TestScriptedDump(t *testing.T) {
	const ct = unix.NFNL_SUBSYS_CTNETLINK << 8
	entry := row(ct, 0, written(func(w *writer) { w.put32(ctaID, 1) })...)
	changed := row(ct, unix.NLM_F_DUMP_INTR)
	done := row(unix.NLMSG_DONE, 0) // its body begins with what is 0, 0, 0, 0 but for the family
	native32(done[headerLen:], 0)
	late := append([]byte(nil), done...)
	native16(late[6:], unix.NLM_F_MULTI|unix.NLM_F_DUMP_INTR)
	failed := append([]byte(nil), done...)
	errno := int32(-int32(unix.ENOMEM))
	native32(failed[headerLen:], uint32(errno))
	stale := append([]byte(nil), done...)
	native32(stale[8:], 6)
	others := append([]byte(nil), done...)
	native32(others[12:], 10)
	broken := row(ct, 0, 3, 0, 3, 0)
	whole := func(p ...[]byte) []datagram { return []datagram{{data: bytes.Join(p, nil)}} }
	for _, c := range []struct {
		name string
		give [][]datagram
		rows uint64
		want error
	}{
		{"whole", [][]datagram{whole(entry, entry), whole(entry, done)}, 3, nil},
		{"not ours in between", [][]datagram{whole(entry, stale, entry), whole(others), whole(done)}, 2, nil},
		{"forged", [][]datagram{whole(entry), {{data: done, foreign: true}}, whole(entry, done)}, 2, nil},
		{"another message", [][]datagram{whole(row(ct|msgCtGetStats, 0), row(0x0a00, 0), entry, done)}, 1, nil},
		{"the table changed", [][]datagram{whole(entry, changed), whole(entry, done)}, 3, flow.ErrInterrupted},
		{"told at the end", [][]datagram{whole(entry, late)}, 1, flow.ErrInterrupted},
		{"the kernel failed", [][]datagram{whole(entry, entry), whole(failed)}, 2, unix.ENOMEM},
		{"no end", [][]datagram{whole(entry)}, 1, errSilent},
		{"a broken row", [][]datagram{whole(entry, broken, entry, done)}, 1, errAttr},
		{"a broken message", [][]datagram{whole(entry, []byte{1, 2, 3})}, 1, errHeader},
		{"cut off", [][]datagram{whole(entry), {{data: entry, truncated: true}}}, 1, errTruncated},
	} {
		for _, buffers := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, %d", c.name, buffers), func(t *testing.T) { replay(t, c.give, buffers, c.rows, c.want) })
		}
	}
}

// replay dumps what a script gives.
func replay(t *testing.T, give [][]datagram, buffers int, want uint64, fault error) {
	var rows uint64
	d := dump{table: flow.TableConntrack, batch: flow.NewBatch(2), fn: func(b *flow.Batch) error {
		rows += uint64(b.Len())
		return nil
	}}
	q, err := (&dumpOptions{}).request(flow.TableConntrack, DumpFilter{})
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{give: give}
	err = d.run(t.Context(), &requester{portID: 9, seq: 7}, q, []receiver{s, s}[:buffers])
	if !errors.Is(err, fault) || fault == nil && err != nil || rows != want || d.count != rows {
		t.Errorf("%d rows, counted %d, want %d; error %v, want %v", rows, d.count, want, err, fault)
	}
	if err != nil && err.Error() == "" {
		t.Error("an error without a word")
	}
}

// TestRequestHeader looks at the bytes of a request, for a flush of one family
// depends on one of them: with nfgenmsg.version 0 the kernel empties both.
func TestRequestHeader(t *testing.T) {
	var w writer
	at := w.begin(unix.NFNL_SUBSYS_CTNETLINK, msgCtDelete, unix.NLM_F_ACK, 0x01020304, flow.IPv6)
	w.put32(ctaMark, 0x0a0b0c0d)
	w.finish(at)
	want := make([]byte, 28)
	native32(want, 28)
	native16(want[4:], 1<<8|2)
	native16(want[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	native32(want[8:], 0x01020304)
	copy(want[16:], []byte{10, 1, 0, 0})
	native16(want[20:], 8)
	native16(want[22:], 8)
	copy(want[24:], []byte{0x0a, 0x0b, 0x0c, 0x0d})
	if !bytes.Equal(w.b, want) {
		t.Errorf("got  %x\nwant %x", w.b, want)
	}
}
