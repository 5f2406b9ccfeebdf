package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	listenVerb   = "listen" // the first argument that makes this program the bare Go loop
	listenBuffer = 64 << 20 // of the baselines' sockets, in effective bytes
)

// goListen is the bare Go loop: Receive of mdlayher/netlink until SIGTERM, then what
// is still queued. It prints what the C loop prints.
func goListen() error {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := errors.Join(c.SetReadBuffer(listenBuffer/2), c.SetOption(netlink.NoENOBUFS, true)); err != nil {
		return err
	}
	for _, group := range []uint32{unix.NFNLGRP_CONNTRACK_NEW, unix.NFNLGRP_CONNTRACK_UPDATE, unix.NFNLGRP_CONNTRACK_DESTROY} {
		if err := c.JoinGroup(group); err != nil {
			return err
		}
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	}()
	received := 0
	for {
		msgs, err := c.Receive()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			fmt.Printf("received %d lost 0\n", received)
			return nil
		}
		if err != nil {
			return err
		}
		received += len(msgs)
	}
}
