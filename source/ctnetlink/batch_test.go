package ctnetlink

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// nth is one of many tuples.
func nth(i int) flow.Tuple {
	return tupleOf(17, "10.0.0.1", "10.0.0.2", uint16(1000+i%50000), uint16(53+i/50000))
}

// TestBatch mixes every kind of request, those too that are refused, and looks
// at each result. It is several system calls long.
func TestBatch(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	var b Batch
	var want []error
	add := func(got, refused, result error) {
		t.Helper()
		if !errors.Is(got, refused) || (got == nil) != (refused == nil) {
			t.Fatalf("added with %v", got)
		}
		want = append(want, result)
	}
	for i := range 300 {
		k := flow.Key{Tuple: nth(i)}
		add(b.Create(flow.Creation{Event: entryOf(k.Tuple)}), nil, nil)
		switch i % 6 {
		case 0:
			add(b.Create(flow.Creation{Event: entryOf(k.Tuple)}), nil, unix.EEXIST)
		case 1:
			add(b.Delete(flow.Key{}), errKey, errKey)
		case 2:
			add(b.Update(k, flow.Update{Mark: &flow.Masked{Value: 7, Mask: 0xff}}), nil, nil)
		case 3:
			add(b.Update(flow.Key{Tuple: k.Tuple, Zone: 9}, flow.Update{Mark: &flow.Masked{Value: 7, Mask: 0xff}}), nil, unix.ENOENT)
		case 4:
			add(b.Delete(k), nil, nil)
		case 5:
			add(b.DeleteExpect(flow.ExpectKey{Tuple: k.Tuple}), nil, unix.ENOENT)
		}
	}
	check := func(results []error) {
		t.Helper()
		if len(results) != len(want) || b.Len() != len(want) {
			t.Fatalf("%d results of %d", len(results), len(want))
		}
		for i := range want {
			if !errors.Is(results[i], want[i]) || (results[i] == nil) != (want[i] == nil) {
				t.Errorf("%d: %v, expected %v", i, results[i], want[i])
			}
		}
	}
	check(c.Do(t.Context(), &b))
	count(t, ns, 250)
	marked := rows(t, c, flow.TableConntrack, flow.DumpOptions{Mark: &flow.Masked{Value: 7, Mask: 0xff}})
	if len(marked) != 50 {
		t.Errorf("%d marked", len(marked))
	}
	// The same once more: the batch stays as it is.
	if err := c.Flush(t.Context(), flow.FlushOptions{}); err != nil {
		t.Fatal(err)
	}
	check(c.Do(t.Context(), &b))
	count(t, ns, 250)
	if _, err := c.Stats(t.Context()); err != nil {
		t.Errorf("a single request after a batch: %v", err)
	}
	b.Reset()
	if b.Len() != 0 || len(c.Do(t.Context(), &b)) != 0 {
		t.Error("an empty batch")
	}
	want = nil
	add(b.Delete(flow.Key{}), errKey, errKey) // nothing is left to send
	check(c.Do(t.Context(), &b))
	count(t, ns, 250)
}

// TestBatchKeepsNothing changes what was given after it was added.
func TestBatchKeepsNothing(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	e, mark := entryOf(nth(1)), flow.Masked{Value: 5, Mask: 0xff}
	k := flow.Key{Tuple: e.Orig}
	var b Batch
	if err := errors.Join(b.Create(flow.Creation{Event: e}), b.Update(k, flow.Update{Mark: &mark})); err != nil {
		t.Fatal(err)
	}
	e.Orig, mark.Value = nth(9), 99
	if err := errors.Join(c.Do(t.Context(), &b)...); err != nil {
		t.Fatal(err)
	}
	if r := look(t, c, k); r.Mark != 5 {
		t.Errorf("%s", describe(r))
	}
}

// TestBatchLongest sends the longest requests that there are, all refused: the
// answers must have room in the receive buffer.
func TestBatchLongest(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	e := entryOf(tupleOf(6, "2001:db8::1", "2001:db8::2", 1, 2))
	e.Has |= flow.HasLabels | flow.HasMark | flow.HasMaster | flow.HasHelper | hasTCP
	e.Extra.Master, e.Extra.Helper = e.Reply, "nosuch-and-long"
	var b Batch
	for range 5 * sendRequests {
		if err := b.Create(flow.Creation{Event: e}); err != nil {
			t.Fatal(err)
		}
	}
	for i, err := range c.Do(t.Context(), &b) {
		if !errors.Is(err, unix.ENOTSUP) {
			t.Fatalf("%d: %v", i, err)
		}
	}
}

func TestBatchCancelledAndClosed(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	var b Batch
	for i := range 100 {
		if err := b.Create(flow.Creation{Event: entryOf(nth(i))}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	all := func(results []error, want error) {
		t.Helper()
		for i, err := range results {
			var e *Error
			if !errors.Is(err, want) || !errors.As(err, &e) || e.Op != "create" {
				t.Fatalf("%d: %v", i, err)
			}
		}
	}
	all(c.Do(ctx, &b), context.Canceled)
	count(t, ns, 0)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	all(c.Do(t.Context(), &b), os.ErrClosed)
}

// TestBatchUnanswered loses the kernel's answers: who knows what was done.
func TestBatchUnanswered(t *testing.T) {
	ns := testnet.New(t)
	c := dialNS(t, ns)
	var b Batch
	for i := range 3 {
		if err := b.Create(flow.Creation{Event: entryOf(nth(i))}); err != nil {
			t.Fatal(err)
		}
	}
	r := c.sock.recv
	c.sock.recv = deaf{r}
	c.sock.wait = 10 * time.Millisecond
	for i, err := range c.Do(t.Context(), &b) {
		var e *Error
		if !errors.Is(err, errSilent) || !errors.As(err, &e) || e.Op != "create" {
			t.Errorf("%d: %v", i, err)
		}
	}
	c.sock.recv = r
	count(t, ns, 3)
	for i, err := range c.Do(t.Context(), &b) {
		if !errors.Is(err, unix.EEXIST) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// deaf loses whatever the kernel sends.
type deaf struct{ receiver }

func (d deaf) next() ([]datagram, error) {
	_, err := d.receiver.next()
	return nil, err
}

// TestBatchRefusedPlaces refuses one request of a send, wherever it stands: only
// the last of them asks for an answer.
func TestBatchRefusedPlaces(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	for _, at := range []int{0, 1, sendRequests - 2, sendRequests - 1, sendRequests, 2*sendRequests - 1} {
		if err := c.Flush(t.Context(), flow.FlushOptions{}); err != nil {
			t.Fatal(err)
		}
		var b Batch
		for i := range 2 * sendRequests {
			k := flow.Key{Tuple: nth(i)}
			if i == at {
				_ = b.Delete(k)
			} else {
				_ = b.Create(flow.Creation{Event: entryOf(k.Tuple)})
			}
		}
		for i, err := range c.Do(t.Context(), &b) {
			if (i == at) != errors.Is(err, unix.ENOENT) || (err == nil) != (i != at) {
				t.Errorf("%d is refused: %d: %v", at, i, err)
			}
		}
	}
}

// TestBatchWithoutRoom has a receive buffer in which not all refusals have room:
// none may pass for success, and what comes later is answered as ever.
func TestBatchWithoutRoom(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	if err := unix.SetsockoptInt(c.sock.recv.descriptor(), unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil {
		t.Fatal(err)
	}
	var b Batch
	for i := range sendRequests {
		_ = b.Delete(flow.Key{Tuple: nth(i)})
	}
	lost := 0
	for i, err := range c.Do(t.Context(), &b) {
		switch {
		case errors.Is(err, unix.ENOBUFS):
			lost++
		case !errors.Is(err, unix.ENOENT):
			t.Errorf("%d: %v", i, err)
		}
	}
	if lost == 0 {
		t.Error("all answers had room")
	}
	if err := c.Delete(t.Context(), flow.Key{Tuple: nth(1)}); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a request afterwards: %v", err)
	}
}

func TestBatchLimit(t *testing.T) {
	var b Batch
	k := flow.Key{Tuple: nth(1)}
	for range BatchLimit {
		if err := b.Delete(k); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Delete(k); !errors.Is(err, errBatchFull) || b.Len() != BatchLimit {
		t.Errorf("%d: %v", b.Len(), err)
	}
}

// TestBatchCut proves that no system call is too large and nothing is left out.
func TestBatchCut(t *testing.T) {
	var b Batch
	for i := range 1000 {
		if i%3 == 0 {
			_ = b.Delete(flow.Key{})
			continue
		}
		if err := b.Create(flow.Creation{Event: entryOf(nth(i))}); err != nil {
			t.Fatal(err)
		}
	}
	for from := 0; from < b.Len(); {
		to := b.cut(from)
		if n := b.list[to-1].end - b.start(from); to <= from || to-from > sendRequests || n > sendBytes {
			t.Fatalf("%d to %d: %d bytes", from, to, n)
		}
		from = to
	}
}

// TestDeleteMany deletes 30000 entries as -D does, by a dump and a request for
// each, and the same by conntrack(8).
func TestDeleteMany(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a table with 30000 entries: not in -short")
	}
	const entries = 30000
	ours, theirs := testnet.New(t), testnet.New(t)
	churn(t, testnet.Churn{NS: ours, Entries: entries, Keep: true})
	churn(t, testnet.Churn{NS: theirs, Entries: entries, Keep: true})
	c := dialNS(t, ours)
	start := time.Now()
	var batch Batch
	_, err := c.Dump(t.Context(), flow.TableConntrack, flow.DumpOptions{}, func(b *flow.Batch) error {
		for i := range b.Events() {
			if err := batch.Delete(flow.KeyOf(&b.Events()[i])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Do(t.Context(), &batch)...); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	start = time.Now()
	theirs.Conntrack(t, "-D")
	t.Logf("%d entries: %v, conntrack -D %v", entries, took, time.Since(start))
	count(t, ours, 0)
	count(t, theirs, 0)
}
