package main

import (
	"cmp"
	"math"
	"slices"
)

// series are one figure's values, one a round. NaN stands for a round without one.
type series []float64

// known are the values that there are, in order of size.
func (s series) known() series {
	out := slices.DeleteFunc(slices.Clone(s), math.IsNaN)
	slices.SortFunc(out, cmp.Compare[float64])
	return out
}

// median is the middle value, or the mean of the two in the middle; NaN of none.
func (s series) median() float64 {
	k := s.known()
	if len(k) == 0 {
		return math.NaN()
	}
	mid := len(k) / 2
	if len(k)%2 == 1 {
		return k[mid]
	}
	return (k[mid-1] + k[mid]) / 2
}

// spread is the smallest and the greatest value; NaN of none.
func (s series) spread() (low, high float64) {
	k := s.known()
	if len(k) == 0 {
		return math.NaN(), math.NaN()
	}
	return k[0], k[len(k)-1]
}

// over divides round by round, so that what slows a whole round cancels out.
// A round that either lacks has no ratio.
func (s series) over(base series) series {
	out := make(series, min(len(s), len(base)))
	for i := range out {
		out[i] = s[i] / base[i]
		if math.IsInf(out[i], 0) {
			out[i] = math.NaN()
		}
	}
	return out
}

// percentile is the value below which a share of the sorted values lies (nearest rank).
func percentile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	rank := int(math.Ceil(share * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
