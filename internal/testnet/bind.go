package testnet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// netnsDir is where iproute2 keeps its named namespaces.
const netnsDir = "/run/netns"

// Bind gives the namespace a name under /run/netns, as "ip netns attach" does, until
// Close. It needs root in the machine's mount namespace. A name in use is an error.
func (ns *Namespace) Bind(name string) error {
	if name == "" || name[0] == '.' || strings.ContainsRune(name, '/') {
		return fmt.Errorf("network namespace name %q: expected a file name", name)
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.mount != "" {
		return fmt.Errorf("network namespace %q: already bound to %s", name, ns.mount)
	}
	path := filepath.Join(netnsDir, name)
	if err := ns.bindTo(path); err != nil {
		return fmt.Errorf("network namespace %q: %w", name, err)
	}
	ns.mount = path
	return nil
}

// bindTo makes the file and mounts the namespace on it.
func (ns *Namespace) bindTo(path string) error {
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return err
	}
	target, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return err
	}
	target.Close()
	source := fmt.Sprintf("/proc/self/fd/%d", ns.file.Fd())
	if err := unix.Mount(source, path, "", unix.MS_BIND, ""); err != nil {
		return errors.Join(fmt.Errorf("bind mount on %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// unbind undoes Bind.
func (ns *Namespace) unbind() error {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.mount == "" {
		return nil
	}
	path := ns.mount
	ns.mount = ""
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	return os.Remove(path)
}
