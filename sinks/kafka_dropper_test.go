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

	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaDropper stands before each broker and hands requests on. Of the next dropNext
// produce requests the answers are dropped together with the connection, after
// the broker has done its work.
type kafkaDropper struct {
	addrs    []string
	dropNext atomic.Int32
	dropped  atomic.Int32
	answer   atomic.Int32      // if not 0, they are not dropped, but say this error
	ports    map[string]string // what a broker says of its address, and what clients shall read
}

// newKafkaDropper starts a front for each broker; they must be at 127.0.0.1.
func newKafkaDropper(tb testing.TB, brokers []string) *kafkaDropper {
	tb.Helper()
	d := &kafkaDropper{ports: map[string]string{}}
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

func (d *kafkaDropper) accept(l net.Listener, addr string) {
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
func (d *kafkaDropper) converse(client, server net.Conn) {
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
			code := d.answer.Load()
			if code == 0 {
				return
			}
			answer = withProduceError(request, answer, int16(code))
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

// withProduceError puts an error into the answer to a produce request.
func withProduceError(request, answer []byte, code int16) []byte {
	version := int16(binary.BigEndian.Uint16(request[6:]))
	header := 8
	if version >= 9 {
		header = 9 // and no tags
	}
	res := kmsg.NewPtrProduceResponse()
	res.SetVersion(version)
	if err := res.ReadFrom(answer[header:]); err != nil {
		return nil
	}
	for i := range res.Topics {
		for j := range res.Topics[i].Partitions {
			res.Topics[i].Partitions[j].ErrorCode = code
		}
	}
	changed := res.AppendTo(bytes.Clone(answer[:header]))
	binary.BigEndian.PutUint32(changed, uint32(len(changed)-4))
	return changed
}
