package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/ctferry/ctferry/internal/natsconn"
)

// DefaultDir is where the keys lie unless the configuration says otherwise.
const DefaultDir = "/var/lib/ctferry/credentials"

// ErrNone is what Find answers when no server has left its keys in a directory.
var ErrNone = errors.New("no server inside ctferry run has left its keys here")

// Find gives the context, in a directory of keys, of the role that may do most
// among those whose key this process may read. The error says which group one
// must be in, or is ErrNone.
func Find(dir string) (path string, err error) {
	var closed error
	for _, role := range Roles() {
		path := filepath.Join(dir, contextName(role))
		err := readable(path, (natsconn.Credentials{Dir: dir}).SeedFile(role))
		switch {
		case err == nil:
			return path, nil
		case errors.Is(err, fs.ErrPermission):
			closed = err
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
	}
	if closed != nil {
		return "", fmt.Errorf("%w%s", closed, whoMay(dir))
	}
	return "", fmt.Errorf("%s: %w", dir, ErrNone)
}

// readable opens each file.
func readable(paths ...string) error {
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		_ = f.Close()
	}
	return nil
}

// whoMay says who may read the keys: the group of the nearest directory that
// can be looked at.
func whoMay(dir string) string {
	info, err := os.Stat(dir)
	for err != nil && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	if err != nil {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	group := strconv.FormatUint(uint64(st.Gid), 10)
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return fmt.Sprintf(": you are not in group %s, whose members may read it (usermod -aG %s USER, then log in again)", group, group)
}
