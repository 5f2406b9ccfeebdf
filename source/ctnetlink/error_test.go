package ctnetlink

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/source/flow"
)

func TestError(t *testing.T) {
	for _, c := range []struct {
		e    Error
		want string
	}{
		{Error{Op: "wait", Err: unix.EBADF}, "wait: bad file descriptor"},
		{Error{Op: "get", Subject: "conntrack entry", Err: unix.ENOENT}, "get conntrack entry: no such file or directory"},
		{Error{Op: "get", Subject: "x", Message: "no", Err: unix.EINVAL}, "get x: no: invalid argument"},
	} {
		if c.e.Error() != c.want || !errors.Is(fmt.Errorf("above: %w", &c.e), c.e.Err) {
			t.Errorf("%q, want %q", c.e.Error(), c.want)
		}
	}
}

// TestExtAck reads the kernel's words in each form that an answer can have.
func TestExtAck(t *testing.T) {
	words := written(func(w *writer) {
		w.put32(unix.NLMSGERR_ATTR_OFFS, 20)
		w.putName(unix.NLMSGERR_ATTR_MSG, "Attribute failed policy validation")
	})
	const tlvs, capped = unix.NLM_F_ACK_TLVS, unix.NLM_F_CAPPED
	asked := make([]byte, 33) // the request in full, padded to 36
	native32(asked, 33)
	whole := append(append(make([]byte, 4), asked...), 0, 0, 0)
	long, short := append([]byte(nil), whole...), append([]byte(nil), whole...)
	native32(long[4:], 1<<31)
	native32(short[4:], 3)
	for _, c := range []struct {
		name  string
		kind  uint16
		flags uint16
		body  []byte
		words bool
	}{
		{"whole request", unix.NLMSG_ERROR, tlvs, append(whole[:len(whole):len(whole)], words...), true},
		{"capped", unix.NLMSG_ERROR, tlvs | capped, append(make([]byte, 20), words...), true},
		{"done", unix.NLMSG_DONE, tlvs, append(make([]byte, 4), words...), true},
		{"none", unix.NLMSG_ERROR, 0, append(make([]byte, 20), words...), false},
		{"request that is too long", unix.NLMSG_ERROR, tlvs, long, false},
		{"request that is too short", unix.NLMSG_ERROR, tlvs, short, false},
		{"request cut off", unix.NLMSG_ERROR, tlvs, make([]byte, 10), false},
		{"words cut off", unix.NLMSG_DONE, tlvs, append(make([]byte, 4), words[:20]...), false},
		{"other attributes only", unix.NLMSG_DONE, tlvs, append(make([]byte, 4), words[:8]...), false},
	} {
		want := ""
		if c.words {
			want = "Attribute failed policy validation"
		}
		if got := extAck(&message{kind: c.kind, flags: c.flags, body: c.body}); got != want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(uint16(unix.NLMSG_ERROR), uint16(unix.NLM_F_ACK_TLVS), make([]byte, 40))
	f.Fuzz(func(t *testing.T, kind, flags uint16, body []byte) {
		q := &request{op: "get"}
		_ = q.verdict(&message{kind: kind, flags: flags, body: body[:len(body):len(body)]})
	})
}

func FuzzStats(f *testing.F) {
	var w writer
	w.b = append(w.b, 0, 0, 0, 0)
	w.put32(ctaStatsGlobalEntries, 5)
	w.put32(ctaStatsGlobalMax, 9)
	f.Add(w.b)
	f.Fuzz(func(t *testing.T, body []byte) {
		var fill flow.TableFill
		_ = tableFill(&fill, &message{body: body[:len(body):len(body)]})
	})
}
