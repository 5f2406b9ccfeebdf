package main

import (
	"context"
	"testing"
	"time"

	"github.com/ctferry/ctferry/internal/testbroker"
)

func TestRun(t *testing.T) {
	testbroker.NeedKafka(t)
	if err := run(context.Background(), true); err != nil {
		t.Errorf("install only: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(5*time.Second, cancel) // as SIGINT would: while it starts on a slow machine, else while it waits
	began := time.Now()
	err := run(ctx, false)
	if took := time.Since(began); took > 40*time.Second {
		t.Errorf("took %v", took)
	}
	if err != nil && ctx.Err() == nil {
		t.Error(err)
	}
}
