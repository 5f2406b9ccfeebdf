package ctnetlink

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// TestMutatedDatagrams gives 10,000 datagrams of the kernel, each damaged
// somewhere, to one decoder: every one is decoded or refused, and neither
// goroutines nor memory stay behind.
func TestMutatedDatagrams(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bin")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var good [][]byte
	for _, name := range files {
		p, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		good = append(good, p)
	}
	r := rand.New(rand.NewPCG(7, 7))
	var d decoder
	b := flow.NewBatch(64)
	decoded, refused := 0, 0
	damage := func(n int) {
		for range n {
			p := mutate(r, good[r.IntN(len(good))])
			b.Reset()
			if out, err := d.datagram(b, p[:len(p):len(p)]); err != nil {
				refused++
				checkUndoneAll(t, b, out)
			} else {
				decoded++
			}
		}
	}
	damage(1000) // what the decoder keeps, it has then
	goroutines, before := runtime.NumGoroutine(), heap()
	damage(10_000)
	if n, after := runtime.NumGoroutine(), heap(); n > goroutines || after > before+1<<20 {
		t.Errorf("%d goroutines before, %d after; %d bytes before, %d after", goroutines, n, before, after)
	}
	if decoded == 0 || refused == 0 {
		t.Errorf("%d decoded, %d refused", decoded, refused)
	}
	t.Logf("%d decoded, %d refused; goroutines and memory as before", decoded, refused)
}

// checkUndoneAll wants nothing of a refused datagram to stay.
func checkUndoneAll(t *testing.T, b *flow.Batch, out decoded) {
	t.Helper()
	if b.Len() != 0 || out.events != 0 {
		t.Fatalf("%d events stay of a refused datagram, %d are counted", b.Len(), out.events)
	}
}

// mutate gives a copy in which bits are flipped, bytes are put in or out, or
// the end is missing.
func mutate(r *rand.Rand, p []byte) []byte {
	p = append([]byte(nil), p...)
	for range 1 + r.IntN(3) {
		if len(p) == 0 {
			return p
		}
		at := r.IntN(len(p))
		switch r.IntN(4) {
		case 0:
			p[at] ^= 1 << r.IntN(8)
		case 1:
			p[at] = byte(r.Uint32())
		case 2:
			p = p[:at]
		case 3:
			p = append(p[:at], append([]byte{byte(r.Uint32())}, p[at:]...)...)
		}
	}
	return p
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
