package ctnetlink

import (
	"errors"
	"os"
	"testing"

	"github.com/ctferry/ctferry/internal/testnet"
)

func TestReadSysctls(t *testing.T) {
	home, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	ns := testnet.New(t)
	for _, want := range []struct {
		acct, stamp, events int64
		set                 string
	}{{0, 0, 2, ""}, {1, 0, 2, "acct"}, {1, 1, 2, "timestamp"}, {1, 1, 1, "events"}} {
		if want.set != "" {
			if err := ns.Sysctl("net.netfilter.nf_conntrack_"+want.set, "1"); err != nil {
				t.Fatal(err)
			}
		}
		s, err := ReadSysctls(ns.Path())
		if err != nil || s.Acct == nil || s.Timestamp == nil || s.Events == nil {
			t.Fatalf("%+v: %v", s, err)
		}
		if *s.Acct != want.acct || *s.Timestamp != want.stamp || *s.Events != want.events {
			t.Errorf("acct %d, timestamp %d, events %d, want %+v", *s.Acct, *s.Timestamp, *s.Events, want)
		}
	}
	if now, err := os.Readlink("/proc/thread-self/ns/net"); err != nil || now != home {
		t.Errorf("the thread is in %s, was in %s: %v", now, home, err)
	}
	if s, err := ReadSysctls(""); err != nil || s.Events == nil {
		t.Errorf("own: %+v, %v", s, err)
	}
	s, err := ReadSysctls("/run/netns/there-is-none")
	if !errors.Is(err, os.ErrNotExist) || s != (Sysctls{}) {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := ReadSysctls("/dev/null"); err == nil || s != (Sysctls{}) {
		t.Errorf("a file that is no namespace: %+v, %v", s, err)
	}
}
