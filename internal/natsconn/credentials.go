package natsconn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/nats-io/nkeys"
)

// Credentials are the users of an embedded server as files: each user's nkey
// seed in a file of its own, in a directory that is for nothing else. Who can
// read a seed is that user; the server itself keeps only the public keys.
type Credentials struct {
	// Dir is made if it is not there.
	Dir string
	// Group is the name or number of the group that may read the shared seeds;
	// empty leaves them to the process's own.
	Group string
}

// Modes of the directory and of what lies in it.
const (
	credentialsDirMode = 0o750
	sharedMode         = 0o640
	privateMode        = 0o600
)

// SeedFile is where a user's seed lies.
func (c Credentials) SeedFile(user string) string { return filepath.Join(c.Dir, user+".nk") }

// Public returns the user's public key, and makes the key if there is none
// yet. A private seed is for the process alone, others for the group too. An
// error names the setting nats_server.credentials.dir or .group.
//
// Two processes may call it at once: both get the key that was first.
func (c Credentials) Public(user string, private bool) (string, error) {
	if err := c.makeDir(); err != nil {
		return "", err
	}
	path := c.SeedFile(user)
	mode := fs.FileMode(sharedMode)
	if private {
		mode = privateMode
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := c.makeSeed(path, mode); err != nil {
			return "", err
		}
	}
	if err := c.check(path, private); err != nil {
		return "", err
	}
	return publicKey("nats_server.credentials.dir", path)
}

// Write puts a file beside the seeds, for the group to read: what a client
// needs to know beside its seed. It replaces an older one as a whole.
func (c Credentials) Write(name string, content []byte) error {
	tmp, err := c.temporary(content, sharedMode)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	if err := os.Rename(tmp, filepath.Join(c.Dir, name)); err != nil {
		return dirError(err)
	}
	return nil
}

// makeDir makes the directory, and refuses one in which everybody may put keys.
func (c Credentials) makeDir() error {
	err := os.MkdirAll(filepath.Dir(c.Dir), credentialsDirMode)
	if err == nil {
		err = os.Mkdir(c.Dir, credentialsDirMode)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return dirError(err)
	}
	if err == nil { // Mkdir's mode is cut by the umask
		if err := os.Chmod(c.Dir, credentialsDirMode); err != nil {
			return dirError(err)
		}
	}
	info, err := os.Stat(c.Dir)
	switch {
	case err != nil:
		return dirError(err)
	case !info.IsDir():
		return dirError(fmt.Errorf("%s is no directory", c.Dir))
	case info.Mode()&0o002 != 0:
		return dirError(fmt.Errorf("%s: everybody may write there: chmod o-w", c.Dir))
	}
	return c.give(c.Dir)
}

// makeSeed makes a key. The file appears complete or not at all, and never
// takes the place of another's.
func (c Credentials) makeSeed(path string, mode fs.FileMode) error {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return dirError(err)
	}
	defer pair.Wipe()
	seed, err := pair.Seed()
	if err != nil {
		return dirError(err)
	}
	defer clear(seed)
	tmp, err := c.temporary(append(seed, '\n'), mode)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return dirError(err)
	}
	return syncDir(c.Dir)
}

// temporary writes a file under a name of its own, ready to be put in place.
func (c Credentials) temporary(content []byte, mode fs.FileMode) (name string, err error) {
	f, err := os.CreateTemp(c.Dir, ".new-")
	if err != nil {
		return "", dirError(err)
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil && mode != privateMode {
		err = c.give(f.Name())
	} else if err != nil {
		err = dirError(err)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return f.Name(), err
}

// check refuses a seed that everybody may read, and gives a shared one to the
// group, which may have been configured since it was made.
func (c Credentials) check(path string, private bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return dirError(err)
	}
	if info.Mode()&0o007 != 0 {
		return dirError(fmt.Errorf("%s: everybody may read it: chmod o=", path))
	}
	if private {
		return nil
	}
	return c.give(path)
}

// give makes the configured group the file's.
func (c Credentials) give(path string) error {
	if c.Group == "" {
		return nil
	}
	gid, err := groupID(c.Group)
	if err == nil {
		err = os.Chown(path, -1, gid)
	}
	if err != nil {
		return &FieldError{Field: "nats_server.credentials.group", Err: err}
	}
	return nil
}

// groupID reads a group's name or number.
func groupID(group string) (int, error) {
	if n, err := strconv.ParseUint(group, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return dirError(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return dirError(err)
	}
	return nil
}

func dirError(err error) error {
	return &FieldError{Field: "nats_server.credentials.dir", Err: err}
}
