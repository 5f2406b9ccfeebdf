package main

import (
	"fmt"
	"os"
)

const (
	recordRoom = 1200      // more than a record takes in a file, in any encoding
	warmPiece  = 256 << 10 // written at once, as ctferry does: so the pages are of the same kind
)

// warm writes so many bytes into a file and removes it. A virtual machine's host may
// provide memory only when it is touched, and take back what is free; whoever writes to
// the page cache then pays for that, ten times what the write costs otherwise, and
// whom it befalls is chance. Pages that were let go just now are there.
func (l *lab) warm(bytes int64) (err error) {
	file, err := os.CreateTemp(l.dir, "warm-") // samples may be taken side by side
	if err != nil {
		return fmt.Errorf("warm the page cache: %w", err)
	}
	piece := make([]byte, warmPiece)
	for ; bytes > 0 && err == nil; bytes -= warmPiece {
		_, err = file.Write(piece)
	}
	for _, step := range []func() error{file.Close, func() error { return os.Remove(file.Name()) }} {
		if stepErr := step(); err == nil {
			err = stepErr
		}
	}
	return err
}

// writes is how many bytes a subject may write under a load.
func (s subject) writes(work load) int64 {
	if work.limit > 0 {
		return int64(s.files) * rotatedRoom
	}
	return int64(s.files) * int64(2*work.churn.Entries+work.flows) * recordRoom
}
