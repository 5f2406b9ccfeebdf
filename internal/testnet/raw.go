package testnet

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
)

// rawPair is a raw socket at each end of a path. That one is open also keeps the kernel
// from answering packets of a protocol that it does not speak.
type rawPair struct{ client, server *net.IPConn }

// openRaw opens raw sockets of an IP protocol at both addresses of t.
func openRaw(ctx context.Context, t Traffic, proto uint8) (rawPair, error) {
	var p rawPair
	var err error
	if p.client, err = listenRaw(ctx, t.Src, proto); err != nil {
		return p, err
	}
	if t.Src == t.Dst {
		p.server = p.client
		return p, nil
	}
	if p.server, err = listenRaw(ctx, t.Dst, proto); err != nil {
		p.client.Close()
	}
	return p, err
}

// listenRaw opens one raw socket. It needs CAP_NET_RAW in the namespace.
func listenRaw(ctx context.Context, addr netip.Addr, proto uint8) (*net.IPConn, error) {
	network := fmt.Sprintf("ip4:%d", proto)
	if addr.Is6() {
		network = fmt.Sprintf("ip6:%d", proto)
	}
	var config net.ListenConfig
	c, err := config.ListenPacket(ctx, network, addr.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.IPConn), nil
}

// Close closes both sockets.
func (p rawPair) Close() error {
	err := p.client.Close()
	if p.server != p.client {
		if err2 := p.server.Close(); err == nil {
			err = err2
		}
	}
	return err
}

// send sends payload after the IP header from one end to the other.
func (p rawPair) send(t Traffic, answer bool, payload []byte) error {
	conn, to := p.client, t.Dst
	if answer {
		conn, to = p.server, t.Src
	}
	_, err := conn.WriteToIP(payload, &net.IPAddr{IP: to.AsSlice()})
	return err
}

// internetChecksum is RFC 1071's, over a packet whose checksum field is zero.
func internetChecksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
