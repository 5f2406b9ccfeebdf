package admin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// freshSuffix is what a unix socket is called until it is in its place.
const freshSuffix = ".new"

// listen binds. An address that is in use is an error that names the key.
func listen(cfg *Config) (net.Listener, error) {
	var l net.Listener
	var err error
	if path := cfg.Unix(); path != "" {
		l, err = listenUnix(path, cfg.Mode)
	} else {
		l, err = net.Listen("tcp", cfg.Listen)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("admin.listen: %s is in use by another process: %w", cfg.Listen, err)
	}
	if err != nil {
		return nil, fmt.Errorf("admin.listen: %w", err)
	}
	return l, nil
}

// Overlap reports whether two addresses host:port cannot be listened on at once:
// they have a port in common and a host, or one of them stands for every host.
// Names are not looked up, but localhost is known.
func Overlap(x, y string) bool {
	hostX, portX, errX := net.SplitHostPort(x)
	hostY, portY, errY := net.SplitHostPort(y)
	if errX != nil || errY != nil || portX == "0" || portX != portY {
		return false
	}
	a, b := numberOf(hostX), numberOf(hostY)
	if !a.IsValid() || !b.IsValid() {
		return hostX == hostY
	}
	return a.IsUnspecified() || b.IsUnspecified() || a == b
}

// numberOf is a host's address, and not valid of a name that is not known.
func numberOf(host string) netip.Addr {
	switch {
	case host == "":
		return netip.IPv6Unspecified()
	case strings.EqualFold(host, "localhost"):
		host = "127.0.0.1"
	}
	ip, _ := netip.ParseAddr(host) // what is wrong is a name
	return ip.Unmap()
}

// listenUnix binds beside the path and then takes its place, so that nobody ever
// finds the socket without its mode, and one that a crash has left is no
// obstacle. One that answers is another's.
func listenUnix(path, mode string) (net.Listener, error) {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = c.Close()
		return nil, &os.PathError{Op: "listen", Path: path, Err: syscall.EADDRINUSE}
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return nil, fmt.Errorf("%s is there and is no socket", path)
	}
	bits, err := strconv.ParseUint(mode, 8, 32)
	if err != nil {
		return nil, fmt.Errorf("mode %q: %w", mode, err)
	}
	fresh := path + freshSuffix
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // its name is another by then
	if err := errors.Join(os.Chmod(fresh, os.FileMode(bits)), os.Rename(fresh, path)); err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(fresh))
	}
	return &unixListener{l, path}, nil
}

// unixListener takes its socket away when it closes.
type unixListener struct {
	net.Listener
	path string
}

func (l *unixListener) Close() error {
	return errors.Join(os.Remove(l.path), l.Listener.Close())
}

// door lets in as many connections as may be, and gives each the TLS that is in
// force; the others are closed at once.
type door struct {
	net.Listener
	front *atomic.Pointer[front]
	open  *atomic.Int64 // connections of all doors
	once  sync.Once
}

// Accept gives the next connection that is let in.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		f := d.front.Load()
		if d.open.Add(1) > int64(f.cfg.MaxConnections) {
			d.open.Add(-1)
			_ = c.Close()
			continue
		}
		guest := &guest{Conn: c, open: d.open}
		if f.tls == nil {
			return guest, nil
		}
		return tls.Server(guest, f.tls), nil
	}
}

// Close closes the listener, once: the server closes it too.
func (d *door) Close() (err error) {
	d.once.Do(func() { err = d.Listener.Close() })
	return err
}

// guest is a connection that counts until it is closed.
type guest struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

// Close closes the connection.
func (g *guest) Close() error {
	g.once.Do(func() { g.open.Add(-1) })
	return g.Conn.Close()
}
