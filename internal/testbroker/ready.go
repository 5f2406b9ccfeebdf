package testbroker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/segmentio/kafka-go"
)

// startedLine is what the broker logs last when it starts.
const startedLine = "Kafka Server started"

// waitReady asks until the broker answers with itself as a member of the cluster, dies, or ctx ends.
func (k *Kafka) waitReady(ctx context.Context) error {
	var last error
	for {
		if !k.process.alive() {
			return fmt.Errorf("the process ended: %w", errors.Join(k.process.err, last))
		}
		if last = k.ready(ctx); last == nil {
			return nil
		}
		if err := sleep(ctx, 25*time.Millisecond); err != nil {
			return errors.Join(err, last)
		}
	}
}

// ready waits for the broker's own word first: it comes when every listener is open, while the first of them may answer earlier, and
// even from a broker that is about to find the port of another listener taken.
func (k *Kafka) ready(ctx context.Context) error {
	log, err := os.ReadFile(k.logFile())
	if err != nil {
		return err
	}
	if !bytes.Contains(log[min(k.logged, len(log)):], []byte(startedLine)) {
		return errors.New("the broker has not said that it started")
	}
	m, err := k.metadata(ctx, Plaintext, "")
	if err != nil {
		return err
	}
	if len(m.Brokers) == 0 {
		return errors.New("the broker has not joined the cluster yet")
	}
	return k.leads(ctx, m.Topics)
}

// leads asks whether every partition of an earlier life is open again.
func (k *Kafka) leads(ctx context.Context, topics []kafka.Topic) error {
	return k.admin(ctx, func(ctx context.Context, c *kafka.Client) error {
		for _, t := range topics {
			if _, err := spans(ctx, c, t.Name); err != nil {
				return fmt.Errorf("topic %s: %w", t.Name, err)
			}
		}
		return nil
	})
}

// metadata asks through a new client, because kafka-go caches answers and failures.
func (k *Kafka) metadata(ctx context.Context, l Listener, m Mechanism) (answer *kafka.MetadataResponse, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err = k.with(ctx, l, m, func(ctx context.Context, c *kafka.Client) error {
		answer, err = c.Metadata(ctx, &kafka.MetadataRequest{})
		return err
	})
	return answer, err
}
