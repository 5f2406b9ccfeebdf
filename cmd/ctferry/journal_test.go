package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testnet"
)

// aSystemLog runs a command line where /dev/log is a socket of the test's, and
// gives what was written to it.
func aSystemLog(t *testing.T, ns *testnet.Namespace, argv ...string) string {
	t.Helper()
	if os.Getuid() != 0 {
		testnet.Unavailable(t, "a /dev/log of the test's own needs root")
	}
	path := filepath.Join(t.TempDir(), "log")
	log, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	const script = `log=$0; net=$1; shift; mount -t tmpfs none /dev && ln -s "$log" /dev/log && exec nsenter --net="$net" "$@"`
	c := exec.Command("unshare", append([]string{"-m", "sh", "-c", script, path, ns.Path(), binary(t)}, argv...)...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Logf("%q: %v: %s", argv, err, out)
	}
	log.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) //nolint:errcheck // a socket of our own
	message := make([]byte, 4096)
	n, _, err := log.ReadFrom(message)
	if err != nil {
		return ""
	}
	return string(message[:n])
}

// TestLocalWritesAreLogged holds that what changes this host's tables is told to
// its system log, once a command line and with what came of it, and that what
// only reads is not.
func TestLocalWritesAreLogged(t *testing.T) {
	ns := testnet.New(t)
	for _, tt := range []struct{ line, want string }{
		{"-I -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2 -t 100", "entries=1 failed=0 errors=0"},
		{"-I -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2 -t 100", "entries=0 failed=1 errors=0"},
		{"-U -p udp -m 7", "entries=1 failed=0 errors=0"},
		{"-D -p udp --dry-run", ""},
		{"-L", ""},
		{"-D -p udp", "entries=1 failed=0 errors=0"},
		{"-F", "failed=0 errors=0"},
		{"-D --no-such", ""},
	} {
		got := aSystemLog(t, ns, strings.Fields(tt.line)...)
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) ||
			tt.want != "" && (!strings.HasPrefix(got, "<85>") || !strings.Contains(got, `uid=0 `) || !strings.Contains(got, tt.line+`"`)) {
			t.Errorf("%s: logged %q: expected %q", tt.line, got, tt.want)
		}
	}
}

// TestJournalQuotes holds that a command line cannot forge a message, nor fill
// the log.
func TestJournalQuotes(t *testing.T) {
	j := &journal{argv: []string{"conntrack", "-D\n<0>forged", strings.Repeat("x", 5000)}}
	if m := j.message(); strings.ContainsAny(m, "\n\x00") || len(m) > 1000 || !strings.Contains(m, `\n<0>forged`) {
		t.Errorf("%d bytes: %q", len(m), m)
	}
}
