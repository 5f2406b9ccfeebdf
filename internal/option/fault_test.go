package option

import (
	"errors"
	"fmt"
	"testing"
)

func TestFaults(t *testing.T) {
	var fs Faults
	if fs.Err() != nil {
		t.Error("no fault is no error")
	}
	fs.Add("a", "bad")
	fs.Add("", "whole")
	fs.Join("b", nil)
	fs.Join("b", Faults{{"c", "worse"}, {"[0].d", "worst"}, {"", "all"}})
	fs.Join("e", errors.New("plain"))
	fs.Join("f", fmt.Errorf("wrapped: %w", Faults{{"g", "deep"}}))
	want := "a: bad\nwhole\nb.c: worse\nb[0].d: worst\nb: all\ne: plain\nf.g: deep"
	if got := fs.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var as Faults
	if err := fs.Err(); !errors.As(err, &as) || len(as) != len(fs) {
		t.Error("Err gives the faults themselves")
	}
}

func TestBelow(t *testing.T) {
	for _, c := range [][3]string{{"", "", ""}, {"a", "", "a"}, {"", "b", "b"}, {"a", "b", "a.b"}, {"a", "[0]", "a[0]"}, {"a[0]", "b", "a[0].b"}, {"", "[1]", "[1]"}} {
		if got := Below(c[0], c[1]); got != c[2] {
			t.Errorf("Below(%q, %q) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}
