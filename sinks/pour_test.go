package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/option"
	"github.com/ctferry/ctferry/source/flow"
	"golang.org/x/sys/unix"
)

// takePlain takes events numbered from first, none of them a gap.
func takePlain(f *Fanout, first, last uint64) {
	for ; first <= last; first += 100 {
		types := make([]flow.Type, min(100, last-first+1))
		for i := range types {
			types[i] = flow.TypeNew
		}
		f.Take(batchOf(first, types...))
	}
}

// ballast fills the file system but for some room.
func ballast(t *testing.T, dir string, leave int64) (path string) {
	t.Helper()
	var fs unix.Statfs_t
	must(t, unix.Statfs(dir, &fs))
	path = filepath.Join(dir, "ballast")
	must(t, os.WriteFile(path, make([]byte, max(0, int64(fs.Bavail)*fs.Bsize-leave)), 0o600))
	return path
}

// events are the numbers of what a sink got that is no gap.
func (s *script) events() (seqs []uint64) {
	for i, value := range s.values {
		if !bytes.Contains(value, []byte(`"event_type":"gap"`)) {
			seqs = append(seqs, s.got[i])
		}
	}
	return seqs
}

// TestPourOnFullDisk stops over a disk with room for all, some or none of what
// must go there: what the books say is held the next run recovers and delivers,
// what they say is dropped it does not deliver, and tells.
func TestPourOnFullDisk(t *testing.T) {
	const last = 2500
	wide := func(c *Config) {
		c.Drain, c.Memory = 10*time.Millisecond, 8*option.MiB
		c.Flush = Flush{Count: 2000, Bytes: 4 * option.MiB, Linger: time.Millisecond}
	}
	for _, way := range []struct {
		name  string
		mode  SpoolMode
		write func(ctx context.Context, try int, b *Batch) error
	}{
		{"memory", SpoolOverflow, func(ctx context.Context, _ int, _ *Batch) error { <-ctx.Done(); return ctx.Err() }},
		{"part of memory", SpoolOverflow, partly},
		{"part of a frame", SpoolAlways, partly},
	} {
		for leave := int64(0); leave <= 320<<10; leave += 32 << 10 {
			t.Run(fmt.Sprint(way.name, "/", leave>>10), func(t *testing.T) {
				mount := smallDisk(t, "4m")
				cfg := storeConfig(t)
				cfg.Dir, cfg.Mode, cfg.Max, cfg.Memory = filepath.Join(mount, "spool"), way.mode, 64*option.MiB, 32*option.MiB
				h := build(t, cfg, wide)
				h.sinks[0].write = way.write
				h.write()
				takePlain(h.fanout, 1, last)
				for way.mode == SpoolAlways && h.frames() < last/100 {
					time.Sleep(time.Millisecond)
				}
				h.read()
				for h.sinks[0].tries() == 0 {
					time.Sleep(time.Millisecond)
				}
				h.end()
				filler := ballast(t, mount, leave)
				must(t, h.stops[0]())
				must(t, os.Remove(filler))
				must(t, h.store.Close())
				one, before := h.outlets[0].Books(), h.sinks[0].events()

				h = build(t, cfg, wide)
				if b := h.outlets[0].Books(); b.Recovered != one.Held {
					t.Errorf("%d were held, %d are recovered", one.Held, b.Recovered)
				}
				h.write().read()
				h.waitFor()
				h.close()
				all := append(before, h.sinks[0].events()...)
				slices.Sort(all)
				lost := one.DroppedTotal()
				if n := uint64(len(slices.Compact(all))); n+lost != last || !one.Balanced() {
					t.Errorf("%d delivered, %d lost of %d: %+v", n, lost, last, one)
				}
				if told := h.sinks[0].lostInGaps(t, "s0"); told != lost {
					t.Errorf("gaps tell of %d, %d were lost", told, lost)
				}
				t.Logf("%d held, %d lost, %d delivered twice", one.Held, lost, len(all)+int(lost)-last)
			})
		}
	}
}

// partly takes the first half of a batch, once.
func partly(ctx context.Context, try int, b *Batch) error {
	if try > 1 {
		<-ctx.Done()
		return ctx.Err()
	}
	for i := range b.Records[:len(b.Records)/2] {
		b.Done(i)
	}
	return errors.New("that is all")
}

func (s *script) tries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// TestPouredStandsAlone stops in the midst of a batch, and has the next run store
// events before it delivers any: what was poured is read before them, and they
// are not read with it, nor what the sink's filter leaves out.
func TestPouredStandsAlone(t *testing.T) {
	taste := func(c *Config) { c.Drain, c.Filter = 10*time.Millisecond, oddStored{} }
	cfg := storeConfig(t)
	cfg.Max = 64 * option.MiB
	h := build(t, cfg, taste)
	h.sinks[0].write = partly
	h.write().read()
	takePlain(h.fanout, 1, 1000)
	for h.outlets[0].Books().Delivered == 0 {
		time.Sleep(time.Millisecond)
	}
	h.close()
	got := h.sinks[0].delivered()
	if !h.store.spool.Has(remainderOf("s0")) || len(got) == 500 {
		t.Fatalf("%d delivered, nothing poured", len(got))
	}
	h = build(t, cfg, taste).write()
	takePlain(h.fanout, 1001, 2000)
	for h.frames() < 20 {
		time.Sleep(time.Millisecond)
	}
	h.read()
	h.waitFor()
	h.close()
	got = append(got, h.sinks[0].delivered()...)
	var want []uint64
	for seq := uint64(1); seq <= 2000; seq += 2 {
		want = append(want, seq)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d records of %d, the first that differs is at %d", len(got), len(want), firstDifference(got, want))
	}
}

// TestPourTakesRoomOfOthers has one sink's memory go to a disk that has room for
// it only if what another waits for gives way, when that one has ended already:
// its account knows.
func TestPourTakesRoomOfOthers(t *testing.T) {
	cfg := overflowConfig(t)
	cfg.Max = option.MiB
	stuck := func(ctx context.Context, _ int, _ *Batch) error { <-ctx.Done(); return ctx.Err() }
	tastes := []func(*Config){
		little(func(c *Config) { c.Drain = 10 * time.Millisecond }),
		func(c *Config) { c.Drain, c.Memory = 10*time.Millisecond, 16*option.MiB },
	}
	h := build(t, cfg, tastes...)
	h.sinks[0].write, h.sinks[1].write = stuck, stuck
	h.write().read()
	takePlain(h.fanout, 1, 12_000)
	h.close()
	var one [2]flow.SinkBooks
	for i := range one {
		one[i] = h.outlets[i].Books()
	}
	h = build(t, cfg, tastes...)
	for i, o := range h.outlets {
		if b := o.Books(); b.Recovered != one[i].Held {
			t.Errorf("s%d: %d were held, %d are recovered", i, one[i].Held, b.Recovered)
		}
	}
	h.write().read()
	h.waitFor()
	h.close()
	for i, sink := range h.sinks {
		lost := one[i].DroppedTotal()
		if n := uint64(len(sink.events())); n+lost != 12_000 || lost == 0 {
			t.Errorf("s%d: %d delivered, %d lost: %+v", i, n, lost, one[i])
		}
		if told := sink.lostInGaps(t, fmt.Sprint("s", i)); told != lost {
			t.Errorf("s%d: gaps tell of %d, %d were lost", i, told, lost)
		}
	}
}

// TestPourWithoutInodes stops over a disk that has room for bytes and none for a
// file: nothing is poured into a place that the next run would not know of.
func TestPourWithoutInodes(t *testing.T) {
	mount := smallDisk(t, "4m,nr_inodes=40")
	cfg := overflowConfig(t)
	cfg.Dir = filepath.Join(mount, "spool")
	taste := func(c *Config) { c.Drain = 10 * time.Millisecond }
	h := build(t, cfg, taste)
	h.sinks[0].write = func(ctx context.Context, _ int, _ *Batch) error { <-ctx.Done(); return ctx.Err() }
	h.write().read()
	takePlain(h.fanout, 1, 100)
	for h.sinks[0].tries() == 0 {
		time.Sleep(time.Millisecond)
	}
	for n, err := 0, error(nil); !errors.Is(err, unix.ENOSPC); n++ {
		if n > 40 {
			t.Fatal("there are inodes without end")
		}
		err = os.WriteFile(filepath.Join(mount, fmt.Sprint("file", n)), nil, 0o600)
	}
	h.end()
	must(t, h.stops[0]())
	if err := h.store.Close(); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the cursors are saved: %v", err)
	}
	one := checkBooks(t, h.outlets[0], flow.SinkBooks{Offered: 100, Dropped: []flow.Drop{{Count: 100}}})
	for n := range 40 {
		os.Remove(filepath.Join(mount, fmt.Sprint("file", n)))
	}
	h = build(t, cfg, taste)
	if b := h.outlets[0].Books(); b.Recovered != one.Held {
		t.Errorf("%d were held, %d are recovered", one.Held, b.Recovered)
	}
	h.write().read()
	for end := time.Now().Add(20 * time.Second); len(h.sinks[0].delivered()) == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	h.close()
	if told := h.sinks[0].lostInGaps(t, "s0"); told != 100 {
		t.Errorf("gaps tell of %d, 100 were lost", told)
	}
}
