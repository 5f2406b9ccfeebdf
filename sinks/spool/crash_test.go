package spool

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// TestCrashChild is the process that TestKill kills: it appends without end,
// acknowledges what it reads, and tells each step when it is done.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv("SPOOL_CRASH")
	if dir == "" {
		t.Skip("only as a child of TestKill")
	}
	s := mustOpen(t, crashConfig(t, dir))
	a := mustCursor(t, s, "a", Now)
	mustCursor(t, s, "b", Now)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // nobody is left behind
	defer cancel()
	go s.Run(ctx) //nolint:errcheck // it gives none
	r := rand.New(rand.NewPCG(uint64(os.Getpid()), 0))
	fmt.Printf("begin %d\n", s.end.Frames)
	for seq := s.end.Frames; ctx.Err() == nil; seq++ {
		mustAppend(t, s, seq, seq+1, r.IntN(40000))
		fmt.Printf("appended %d\n", seq)
		if f, err := a.Poll(); err != nil {
			t.Fatal(err)
		} else if f != nil && r.IntN(2) == 0 {
			checkFrame(t, f)
			fmt.Printf("acked %d\n", f.Seq)
			a.Ack(f.Seq)
			fmt.Printf("noted %d\n", f.Seq)
		}
	}
}

func crashConfig(t testing.TB, dir string) Config {
	cfg := small(dir)
	cfg.Max = 1 << 30
	if err := cfg.Sync.UnmarshalText([]byte(os.Getenv("SPOOL_SYNC"))); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// killed is what is known of a child's steps.
type killed struct {
	appended int64 // the last that was told
	acked    int64 // before Ack
	noted    int64 // when it had returned
}

// crash starts a child and kills it at some moment.
func crash(t *testing.T, dir string, after time.Duration, last killed) killed {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestCrashChild$", "-test.count=1")
	cmd.Env = append(os.Environ(), "SPOOL_CRASH="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once *time.Timer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var step string
		var seq int64
		if n, _ := fmt.Sscan(lines.Text(), &step, &seq); n < 2 {
			t.Error("child:", lines.Text())
		}
		switch step {
		case "begin":
			if seq <= last.appended {
				t.Errorf("begins with %d, but %d had been appended", seq, last.appended)
			}
			once = time.AfterFunc(after, func() { cmd.Process.Kill() })
		case "appended":
			last.appended = seq
		case "acked":
			last.acked = seq
		case "noted":
			last.noted = seq
		}
	}
	if once == nil {
		t.Error("the child did not begin")
	}
	cmd.Wait() //nolint:errcheck // it was killed
	return last
}

// TestKill kills the writing process 20 times, each time at another moment, in
// one directory. A copy of what it leaves gives every frame that was appended,
// once and whole; the cursor that acknowledged is given nothing too little, and
// nothing again whose acknowledgement had returned; and
// the next process goes on in it.
func TestKill(t *testing.T) {
	for _, sync := range []string{"none", "always", "5ms"} {
		t.Run(sync, func(t *testing.T) {

			testKill(t, sync)
		})
	}
}

func testKill(t *testing.T, sync string) {
	t.Helper()
	dir := t.TempDir()
	last := killed{-1, -1, -1}
	r := rand.New(rand.NewPCG(3, 4))
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		t.Setenv("SPOOL_SYNC", sync)
		last = crash(t, dir, time.Duration(r.IntN(60))*time.Millisecond, last)
		if t.Failed() {
			return
		}
		cfg := small(copyDir(t, dir))
		cfg.Max = 1 << 30
		s := mustOpen(t, cfg)
		b := mustCursor(t, s, "b", Now)
		seqs := drain(t, b, true)
		wantSeqs(t, seqs, run(0, uint64(len(seqs))))
		if int64(len(seqs)) <= last.appended || b.Losses() != (Losses{}) {
			t.Fatalf("%d frames, %d was appended; losses %+v", len(seqs), last.appended, b.Losses())
		}
		last.appended = int64(len(seqs)) - 1
		a := mustCursor(t, s, "a", Now)
		seqs = drain(t, a, true)
		if len(seqs) > 0 && (int64(seqs[0]) > last.acked+1 || int64(seqs[0]) <= last.noted) || a.Losses() != (Losses{}) {
			t.Fatalf("begins with %d, %d was acknowledged, %d noted; losses %+v", seqs[0], last.acked, last.noted, a.Losses())
		}
		if len(seqs) > 0 {
			wantSeqs(t, seqs, run(seqs[0], uint64(last.appended)+1))
		}
		s.Close()
		os.RemoveAll(cfg.Dir)
	}
	t.Logf("%d frames lived through %d deaths", last.appended+1, rounds)
}
