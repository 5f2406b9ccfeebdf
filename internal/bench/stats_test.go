package main

import (
	"math"
	"slices"
	"testing"
)

// same compares series; NaN is NaN.
func same(a, b series) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool {
		return math.IsNaN(x) && math.IsNaN(y) || math.Abs(x-y) < 1e-9
	})
}

func TestMedianAndSpread(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		of                series
		median, low, high float64
	}{
		{nil, nan, nan, nan},
		{series{nan, nan}, nan, nan, nan},
		{series{4}, 4, 4, 4},
		{series{9, 1}, 5, 1, 9},
		{series{3, 1, 2}, 2, 1, 3},
		{series{5, nan, 1, 2, 100}, 3.5, 1, 100},
		{series{-1, -5, 3, 0, 0}, 0, -5, 3},
	} {
		before := slices.Clone(c.of)
		low, high := c.of.spread()
		if got := (series{c.of.median(), low, high}); !same(got, series{c.median, c.low, c.high}) {
			t.Errorf("%v: %v", c.of, got)
		}
		if !same(c.of, before) {
			t.Errorf("%v was changed into %v", before, c.of)
		}
	}
}

func TestOver(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct{ a, b, want series }{
		{series{2, 9}, series{4, 3}, series{0.5, 3}},
		{series{2, 9, 1}, series{4}, series{0.5}}, // only rounds that both have
		{series{2, nan}, series{nan, 1}, series{nan, nan}},
		{series{2, 0}, series{0, 0}, series{nan, nan}}, // a ratio over nothing is none
		{series{1}, nil, series{}},
		{nil, series{1}, series{}},
	} {
		if got := c.a.over(c.b); !same(got, c.want) {
			t.Errorf("%v over %v: %v, expected %v", c.a, c.b, got, c.want)
		}
	}
}

// TestOverIsRoundByRound: a slow round slows both, and the ratio does not see it.
func TestOverIsRoundByRound(t *testing.T) {
	ours, theirs := series{1, 10, 1}, series{2, 20, 2}
	if got := ours.over(theirs); !same(got, series{0.5, 0.5, 0.5}) {
		t.Errorf("%v", got)
	}
}

func TestPercentile(t *testing.T) {
	var hundred []float64
	for i := range 100 {
		hundred = append(hundred, float64(i+1))
	}
	for _, c := range []struct {
		of    []float64
		share float64
		want  float64
	}{
		{nil, 0.5, math.NaN()}, {[]float64{7}, 0.5, 7}, {[]float64{7}, 0.99, 7}, {[]float64{7}, 0, 7},
		{hundred, 0.5, 50}, {hundred, 0.99, 99}, {hundred, 1, 100}, {hundred, 0.001, 1}, {hundred[:3], 0.99, 3},
	} {
		if got := percentile(c.of, c.share); !same(series{got}, series{c.want}) {
			t.Errorf("%v of %d values: %v, expected %v", c.share, len(c.of), got, c.want)
		}
	}
}
