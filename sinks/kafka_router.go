package sinks

import (
	"context"
	"fmt"
	"net"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// kafkaRouter sends each request to the very broker that the caller names.
//
// kafka.Transport routes by itself, from a copy of the cluster's metadata that
// it renews when it likes: it answers metadata requests from the copy, keeps
// sending to a leader that has moved, asks about all topics of the cluster,
// and sends InitProducerID to the coordinator of a transaction that we do not
// have. It decides all that by the request's Go type. So the router gives the
// requests types of its own, alike in every field but without the methods that
// route; what remains of Transport is what it is good at, a pool of
// connections to each address, with TLS, SASL and API versions.
type kafkaRouter struct{ transport *kafka.Transport }

// RoundTrip implements kafka.RoundTripper.
func (r kafkaRouter) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	switch m := req.(type) {
	case *rawproduce.Request:
		req = (*kafkaProduce)(m)
	case *metadata.Request:
		return r.metadata(ctx, addr, m)
	case *initproducerid.Request:
		req = (*kafkaInitProducer)(m)
	}
	return r.transport.RoundTrip(ctx, addr, req)
}

type kafkaProduce rawproduce.Request

// ApiKey implements protocol.Message.
func (*kafkaProduce) ApiKey() protocol.ApiKey { return protocol.Produce }

// TypeKey chooses the encoding for records that are already encoded.
func (*kafkaProduce) TypeKey() protocol.OverrideTypeKey { return protocol.RawProduceOverride }

// metadata asks the broker itself. Transport answers from its copy what it
// knows to be a metadata request, and wants a request of its own type for every
// metadata answer; it takes neither for one when both stand in a parcel.
func (r kafkaRouter) metadata(ctx context.Context, addr net.Addr, m *metadata.Request) (kafka.Response, error) {
	res, err := r.transport.RoundTrip(ctx, addr, kafkaParcel{m})
	if err != nil {
		return nil, err
	}
	return res.(kafkaParcel).Message, nil
}

// kafkaParcel is a message that Transport divides into one, itself.
type kafkaParcel struct{ protocol.Message }

// Split implements protocol.Splitter.
func (m kafkaParcel) Split(protocol.Cluster) ([]protocol.Message, protocol.Merger, error) {
	return []protocol.Message{m.Message}, m, nil
}

// Merge implements protocol.Merger.
func (m kafkaParcel) Merge(_ []protocol.Message, results []any) (protocol.Message, error) {
	switch r := results[0].(type) {
	case protocol.Message:
		return kafkaParcel{r}, nil
	case error:
		return nil, r
	}
	return nil, fmt.Errorf("kafka client: a metadata answer of type %T", results[0])
}

type kafkaInitProducer initproducerid.Request

// ApiKey implements protocol.Message.
func (*kafkaInitProducer) ApiKey() protocol.ApiKey { return protocol.InitProducerId }
