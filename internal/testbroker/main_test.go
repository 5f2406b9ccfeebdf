package testbroker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// broker is what the tests that harm nothing share.
var broker Shared

// TestMain is the process under test too: with roleVariable set, this program is a victim that starts a child and meets its end.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		victim(role)
		return
	}
	os.Exit(broker.Run(m))
}

const roleVariable = "TESTBROKER_ROLE"

// victim starts a child, prints its process id (and the broker's folder) and ends as the role says, at the latest in a minute.
func victim(role string) {
	how, what, _ := strings.Cut(role, " ")
	switch what {
	case "sleep":
		p, err := startProcess(exec.Command("sleep", "120"))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.cmd.Process.Pid)
	case "kafka":
		d, err := Install(context.Background())
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		k, err := d.Start(context.Background(), Options{})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(k.PID(), k.dir)
	}
	switch how {
	case "panic":
		panic("as asked")
	case "exit":
		os.Exit(3)
	}
	time.Sleep(time.Minute) // to be killed
}

// bounded is a context for one test.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}
