package option

import (
	"errors"
	"strings"
)

// Fault is one thing that is wrong with a configuration. Path is the key's
// place below the value that was validated, levels parted by dots and list
// places as [0]; the loader adds what stands above it and the file's line.
type Fault struct {
	Path string
	Text string // what is wrong and what was expected
}

func (f Fault) Error() string {
	if f.Path == "" {
		return f.Text
	}
	return f.Path + ": " + f.Text
}

// Faults is everything that is wrong; it is an error when it is not empty.
type Faults []Fault

func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Add notes a fault.
func (fs *Faults) Add(path, text string) { *fs = append(*fs, Fault{path, text}) }

// Join adds the faults of err, each below path. An error of another kind counts as one fault.
func (fs *Faults) Join(path string, err error) {
	if err == nil {
		return
	}
	var inner Faults
	if !errors.As(err, &inner) {
		fs.Add(path, err.Error())
		return
	}
	for _, f := range inner {
		fs.Add(Below(path, f.Path), f.Text)
	}
}

// Err gives the faults as an error, nil if there are none.
func (fs Faults) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}

// Below joins two parts of a key's path.
func Below(path, key string) string {
	switch {
	case path == "":
		return key
	case key == "" || strings.HasPrefix(key, "["):
		return path + key
	}
	return path + "." + key
}
