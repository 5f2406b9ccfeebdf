// Command runbroker runs the tests' Kafka by hand: it prints the listeners' addresses and waits for SIGINT or SIGTERM. With -install
// it only fills the cache, which a build machine does before its tests.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ctferry/ctferry/internal/testbroker"
)

func main() {
	install := flag.Bool("install", false, "download and prepare Kafka, start nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *install); err != nil {
		fmt.Fprintln(os.Stderr, "runbroker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, installOnly bool) error {
	began := time.Now()
	d, err := testbroker.Install(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("installed   %v\n", time.Since(began).Round(time.Millisecond))
	if installOnly {
		return nil
	}
	began = time.Now()
	k, err := d.Start(ctx, testbroker.Options{})
	if err != nil {
		return err
	}
	fmt.Printf("started     %v, pid %d\n", time.Since(began).Round(time.Millisecond), k.PID())
	for _, l := range []testbroker.Listener{testbroker.Plaintext, testbroker.SASL, testbroker.TLS, testbroker.MutualTLS, testbroker.SASLTLS} {
		fmt.Printf("%-11s %s\n", l, k.Address(l))
	}
	c := k.Certificates()
	fmt.Printf("user        %s password %s\nca          %s\nclient      %s %s\n", testbroker.User, testbroker.Password, c.CA, c.ClientCert, c.ClientKey)
	<-ctx.Done()
	return k.Stop()
}
