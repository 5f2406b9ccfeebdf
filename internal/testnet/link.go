package testnet

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Up brings the loopback up, with 127.0.0.1, ::1 and the given addresses, each as a
// single host (/32, /128) that is ready at once.
func (ns *Namespace) Up(addrs ...netip.Addr) error {
	return ns.Do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return fmt.Errorf("loopback: %w", err)
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			return fmt.Errorf("loopback up: %w", err)
		}
		for _, addr := range addrs {
			if err := addHost(lo, addr); err != nil {
				return fmt.Errorf("loopback address %s: %w", addr, err)
			}
		}
		return nil
	})
}

// addHost adds one address, without waiting for duplicate address detection.
func addHost(link netlink.Link, addr netip.Addr) error {
	a, err := netlink.ParseAddr(netip.PrefixFrom(addr, addr.BitLen()).String())
	if err != nil {
		return err
	}
	if addr.Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return netlink.AddrAdd(link, a)
}

// Sysctl writes a kernel setting of the namespace, such as
// "net.netfilter.nf_conntrack_acct". Settings that belong to the whole machine
// (nf_conntrack_max, rmem_max) are read-only here, and the error is a permission error.
func (ns *Namespace) Sysctl(name, value string) error {
	path := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
	err := ns.Do(func() error {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteString(value)
		return err
	})
	if err != nil {
		return fmt.Errorf("sysctl %s = %q: %w", name, value, err)
	}
	return nil
}

// Record makes the kernel count packets and bytes, note times and raise events for
// every flow created from now on, whether or not anyone listens yet.
func (ns *Namespace) Record() error {
	for _, name := range []string{"acct", "timestamp", "events"} {
		if err := ns.Sysctl("net.netfilter.nf_conntrack_"+name, "1"); err != nil {
			return err
		}
	}
	return nil
}
