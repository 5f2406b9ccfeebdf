package testnet

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// listen starts conntrack -E in the namespace and returns a function that waits for so
// many events and returns what came.
func listen(t *testing.T, ns *Namespace, args ...string) func(want int) []string {
	t.Helper()
	path, err := exec.LookPath("conntrack")
	if err != nil {
		Unavailable(t, "conntrack(8) is not installed: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), "stdbuf", append([]string{"-oL", path, "-E"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var seen []string
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			mu.Lock()
			seen = append(seen, scan.Text())
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		cmd.Wait()
	})
	waitForListener(t, ns)
	return func(want int) []string {
		for until := time.Now().Add(5 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
			mu.Lock()
			enough := len(seen) >= want
			mu.Unlock()
			if enough {
				break
			}
		}
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), seen...)
	}
}

// waitForListener waits until a socket in the namespace has joined a conntrack group.
func waitForListener(t *testing.T, ns *Namespace) {
	t.Helper()
	for range 250 {
		joined := 0
		err := ns.Do(func() error {
			lines, err := readLines("/proc/thread-self/net/netlink")
			for _, line := range lines {
				f := strings.Fields(line)
				if len(f) > 3 && f[1] == "12" && strings.Trim(f[3], "0") != "" {
					joined++
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if joined > 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("conntrack -E joined no group in 5 s")
}

// readLines reads a small text file.
func readLines(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	return lines(string(b)), err
}
