package testnet

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

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
		return waitLocal(lo)
	})
}

// waitLocal waits until the kernel delivers to every IPv6 address of the link: it makes
// their local routes in a worker of its own, after the address was added. Until then
// packets are refused or vanish.
func waitLocal(link netlink.Link) error {
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V6)
	if err != nil {
		return fmt.Errorf("loopback addresses: %w", err)
	}
	until := time.Now().Add(stepLimit)
	for _, addr := range addrs {
		for !delivers(addr.IP) {
			if time.Now().After(until) {
				return fmt.Errorf("loopback address %s: no local route after %v", addr.IP, stepLimit)
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// delivers tells whether packets from an address to itself have a local route.
func delivers(ip net.IP) bool {
	routes, err := netlink.RouteGetWithOptions(ip, &netlink.RouteGetOptions{SrcAddr: ip})
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
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
