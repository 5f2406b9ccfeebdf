package doctor

import (
	"bufio"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// listenHere has a test's own process listen on an address until its input ends.
const listenHere = "DOCTOR_TEST_LISTEN"

func TestListensElsewhere(t *testing.T) {
	address := os.Getenv(listenHere)
	if address == "" {
		t.Skip("is the other process of TestPortOfAnotherHost")
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	os.Stdout.WriteString("listens on " + l.Addr().String() + "\n")
	bufio.NewReader(os.Stdin).ReadString('\n')
}

// TestPortOfAnotherHost has two processes listen on one port of two addresses: each
// finding names the one that has the address.
func TestPortOfAnotherHost(t *testing.T) {
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestListensElsewhere$")
	other.Env = append(os.Environ(), listenHere+"=127.0.0.1:0")
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		other.Wait() //nolint:errcheck // its end is all that is wanted
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	theirs, found := strings.CutPrefix(strings.TrimSpace(line), "listens on ")
	if !found {
		t.Fatalf("%q, %v", line, err)
	}
	_, port, _ := net.SplitHostPort(theirs)
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.2", port))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours := l.Addr().String()
	if got := listenerOf(theirs); got != other.Process.Pid {
		t.Errorf("%s is said to be of process %d, expected %d", theirs, got, other.Process.Pid)
	}
	if got := listenerOf(ours); got != os.Getpid() {
		t.Errorf("%s is said to be of process %d, expected %d", ours, got, os.Getpid())
	}
	if got := listenerOf("0.0.0.0:" + port); got != os.Getpid() && got != other.Process.Pid {
		t.Errorf("every host's is said to be of process %d", got)
	}
	if got := listenerOf(net.JoinHostPort("127.0.0.3", port)); got != 0 {
		t.Errorf("an address that nobody has is said to be of process %d", got)
	}
	p := Port{Key: "admin.listen", Address: theirs}
	if got := p.look([]int{os.Getpid()}); len(got) != 1 || got[0].Severity != Fail {
		t.Errorf("that of another process is said to be ctferry's: %+v", got)
	}
	p.Address = net.JoinHostPort("127.0.0.3", port)
	if got := p.look(nil); len(got) != 1 || got[0].Severity != OK {
		t.Errorf("an address that is free: %+v", got)
	}
}

// TestLocalAddress has lines of /proc/net/tcp and tcp6 of a little-endian host, turned
// where this one is not.
func TestLocalAddress(t *testing.T) {
	for text, want := range map[string]string{
		"0100007F:24E0":                         "127.0.0.1:9440",
		"00000000:0050":                         "0.0.0.0:80",
		"00000000000000000000000001000000:1F90": "[::1]:8080",
		"0000000000000000FFFF00000100007F:1F90": "[::ffff:127.0.0.1]:8080",
		"B80D0120000000000000000001000000:0016": "[2001:db8::1]:22",
	} {
		got, ok := localAddress(inHostOrder(text))
		if !ok || got != netip.MustParseAddrPort(want) {
			t.Errorf("%s: %v, %v, expected %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", ":", "0100007F", "0100007F:", "0100007F:10000", "01007F:24E0", "0100007G:24E0", "010000:7F"} {
		if got, ok := localAddress(text); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// inHostOrder turns the words of a little-endian host's line.
func inHostOrder(text string) string {
	if one, _ := localAddress("0100007F:0000"); one.Addr().Is4() && one.Addr().IsLoopback() {
		return text
	}
	address, port, _ := strings.Cut(text, ":")
	var out []string
	for word := range slices.Chunk([]byte(address), 8) {
		out = append(out, string(word[6:8])+string(word[4:6])+string(word[2:4])+string(word[0:2]))
	}
	return strings.Join(out, "") + ":" + port
}
