package sinks

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// dropper stands before each broker and hands requests on. Of the next dropNext
// produce requests the answers are dropped together with the connection, after
// the broker has done its work.
type dropper struct {
	addrs    []string
	dropNext atomic.Int32
	dropped  atomic.Int32
	ports    map[string]string // what a broker says of its address, and what clients shall read
}

// newDropper starts a front for each broker; they must be at 127.0.0.1.
func newDropper(tb testing.TB, brokers []string) *dropper {
	tb.Helper()
	d := &dropper{ports: map[string]string{}}
	var listeners []net.Listener
	for _, addr := range brokers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		listeners = append(listeners, l)
		d.addrs = append(d.addrs, l.Addr().String())
		d.ports[asInMetadata(tb, addr)] = asInMetadata(tb, l.Addr().String())
	}
	var wg sync.WaitGroup
	for i, l := range listeners {
		wg.Go(func() { d.accept(l, brokers[i]) })
	}
	tb.Cleanup(func() {
		for _, l := range listeners {
			_ = l.Close()
		}
		wg.Wait()
	})
	return d
}

// asInMetadata is a broker's address as a metadata answer holds it.
func asInMetadata(tb testing.TB, addr string) string {
	tb.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		tb.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil || host != "127.0.0.1" {
		tb.Fatalf("%s: %v", addr, err)
	}
	return host + string(binary.BigEndian.AppendUint32(nil, uint32(n)))
}

func (d *dropper) accept(l net.Listener, addr string) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", addr)
		if err != nil {
			_ = client.Close()
			continue
		}
		go d.converse(client, server)
	}
}

// converse hands one request and its answer on after the other.
func (d *dropper) converse(client, server net.Conn) {
	defer func() {
		_ = client.Close()
		_ = server.Close()
	}()
	for {
		request, err := kafkaFrame(client)
		if err != nil {
			return
		}
		if _, err := server.Write(request); err != nil {
			return
		}
		answer, err := kafkaFrame(server)
		if err != nil {
			return
		}
		if produce := binary.BigEndian.Uint16(request[4:]) == 0; produce && d.dropNext.Add(-1) >= 0 {
			d.dropped.Add(1)
			return
		}
		for broker, front := range d.ports {
			answer = bytes.ReplaceAll(answer, []byte(broker), []byte(front))
		}
		if _, err := client.Write(answer); err != nil {
			return
		}
	}
}

// kafkaFrame reads one request or answer with the length before it.
func kafkaFrame(r io.Reader) ([]byte, error) {
	b := make([]byte, 4)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	b = append(b, make([]byte, binary.BigEndian.Uint32(b))...)
	_, err := io.ReadFull(r, b[4:])
	return b, err
}
