package sinks

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// archiveStamp is the time of rotation in a rotated file's name: names sort as times do.
const archiveStamp = "20060102T150405.000Z"

// slotOf is the rotation interval that a time lies in; all times are in one if
// there is none.
func (s *fileSink) slotOf(t time.Time) time.Time {
	if s.opt.Rotate.Interval == 0 {
		return time.Time{}
	}
	return t.UTC().Truncate(s.opt.Rotate.Interval)
}

// rotate puts the live file aside and opens the next. On an error the live
// file, if it is still open, goes on under its name.
func (s *fileSink) rotate(now time.Time) error {
	if err := s.archive(s.current(), "", now); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	if err := s.shut(); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	s.kick()
	s.slot = s.slotOf(now)
	return s.attach(s.path.at(now))
}

// foreignEnding marks a file that was found in the live file's place and is no
// work of this program. Nothing ever deletes it.
const foreignEnding = ".foreign"

// archive gives a file its name among the rotated ones, with an ending.
func (s *fileSink) archive(name, ending string, now time.Time) error {
	to, err := s.archiveName(name, now)
	if err != nil {
		return err
	}
	to += ending
	if err := s.root.Rename(name, to); err != nil {
		return err
	}
	return s.syncDir(to)
}

// archiveName finds a name that is free, also of a compressed file.
func (s *fileSink) archiveName(name string, now time.Time) (string, error) {
	const tries = 10_000 // a millisecond each
	ext := s.path.extension()
	stem := strings.TrimSuffix(name, ext)
	for range tries {
		to := stem + "-" + now.UTC().Format(archiveStamp) + ext
		if s.free(to) && s.free(to+foreignEnding) && s.free(to+CompressGzip.extension()) && s.free(to+CompressZstd.extension()) {
			return to, nil
		}
		now = now.Add(time.Millisecond)
	}
	return "", fmt.Errorf("no name is free behind %s", filepath.Base(name))
}

func (s *fileSink) free(name string) bool {
	_, err := s.root.Lstat(name)
	return errors.Is(err, fs.ErrNotExist)
}

// extension is the fixed end of the path from its last dot on, "" if there is none.
func (p filePath) extension() string {
	last := p.elements[len(p.elements)-1]
	literal := last[len(last)-1].literal
	if len(last) == 1 && strings.LastIndexByte(literal, '.') == 0 {
		return "" // a hidden file's name is no extension
	}
	return filepath.Ext(literal)
}
