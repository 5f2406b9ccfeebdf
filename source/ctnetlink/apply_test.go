package ctnetlink

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ctferry/ctferry/internal/testnet"
	"github.com/ctferry/ctferry/source/flow"
)

// TestApply makes one change of each kind, and one that is none: each has a
// result of its own, at its own place.
func TestApply(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	one, two := entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2)), entryOf(tupleOf(17, "10.0.0.1", "10.0.0.2", 3, 4))
	k1, k2 := flow.Key{Tuple: one.Orig}, flow.Key{Tuple: two.Orig}
	results := c.Apply(t.Context(), []flow.Change{
		{Create: &flow.Creation{Event: one}},
		{},
		{Create: &flow.Creation{Event: one}},
		{Update: &flow.KeyUpdate{Key: k1, Update: flow.Update{Mark: &flow.Masked{Value: 7, Mask: 0xff}}}},
		{Delete: &k2},
		{DeleteExpect: &flow.ExpectKey{Tuple: one.Orig}},
		{CreateExpect: &flow.Expectation{}},
	})
	for i, want := range []error{nil, errChange, unix.EEXIST, nil, unix.ENOENT, unix.ENOENT, errExpect} {
		if !errors.Is(results[i], want) {
			t.Errorf("change %d: %v, want %v", i, results[i], want)
		}
	}
	if e := look(t, c, k1); e.Mark != 7 {
		t.Errorf("mark %d", e.Mark)
	}
	if err := c.Apply(t.Context(), []flow.Change{{Delete: &k1}})[0]; err != nil {
		t.Error(err)
	}
}

// TestApplyBeyondABatch: more changes than a batch takes are made all the same.
func TestApplyBeyondABatch(t *testing.T) {
	c := dialNS(t, testnet.New(t))
	k := flow.Key{Tuple: tupleOf(17, "10.0.0.1", "10.0.0.2", 1, 2)}
	changes := make([]flow.Change, BatchLimit+3)
	for i := range changes {
		changes[i].Delete = &k
	}
	results := c.Apply(t.Context(), changes)
	if len(results) != len(changes) {
		t.Fatalf("%d results of %d changes", len(results), len(changes))
	}
	for i, err := range results {
		if !errors.Is(err, unix.ENOENT) {
			t.Fatalf("change %d: %v", i, err)
		}
	}
}
