package sinks

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/segmentio/kafka-go"
)

// kafkaVerdict is what a partition's worker does about an error.
type kafkaVerdict uint8

const (
	kafkaGiveUp     kafkaVerdict = iota // end this Write for the partition; the outlet tries again
	kafkaAgain                          // ask who leads, then send the same bytes
	kafkaSmaller                        // the batch is too large
	kafkaNewSession                     // the broker does not know this producer, or has lost a part of the log
	kafkaSendTime                       // the broker refuses the records' times
	kafkaBadRecord                      // the broker refuses records for ever
	kafkaDelivered                      // it has the batch already
)

// kafkaFault is an error with all that follows from it.
type kafkaFault struct {
	verdict kafkaVerdict
	class   Class
	refused bool // certainly not in the log; otherwise nobody knows
	text    string
}

// kafkaFaults are the broker's codes (org.apache.kafka.common.protocol.Errors)
// that mean more than "try again later, it may have been written".
func kafkaFaults() map[kafka.Error]kafkaFault {
	return map[kafka.Error]kafkaFault{
		kafka.UnknownTopicOrPartition:            {kafkaAgain, Retry, true, "does not exist on these brokers"},
		kafka.LeaderNotAvailable:                 {kafkaAgain, Retry, true, "a partition has no leader"},
		kafka.NotLeaderForPartition:              {kafkaAgain, Retry, false, "a partition's leader has moved"}, // perhaps while the batch waited for replicas
		kafka.FencedLeaderEpoch:                  {kafkaAgain, Retry, true, "a partition's leader has moved"},
		kafka.UnknownLeaderEpoch:                 {kafkaAgain, Retry, true, "a partition's leader has moved"},
		kafka.BrokerNotAvailable:                 {kafkaAgain, Retry, true, "broker not available"},
		kafka.GroupLoadInProgress:                {kafkaAgain, Retry, true, "the broker is still starting"},
		kafka.InvalidMessage:                     {kafkaAgain, Retry, true, "a batch was damaged on its way"},
		kafka.NotEnoughReplicas:                  {kafkaGiveUp, Retry, true, "too few replicas in sync"},
		kafka.NotEnoughReplicasAfterAppend:       {kafkaGiveUp, Retry, false, "too few replicas in sync"},
		kafka.RequestTimedOut:                    {kafkaGiveUp, Retry, false, "replicas did not confirm in time"},
		kafka.MessageSizeTooLarge:                {kafkaSmaller, Split, true, "message too large"},
		kafka.RecordListTooLarge:                 {kafkaSmaller, Split, true, "batch too large"},
		kafka.InvalidTopic:                       {kafkaGiveUp, Configuration, true, "not a valid topic name"},
		kafka.InvalidRequiredAcks:                {kafkaGiveUp, Configuration, true, "acks refused"},
		kafka.TopicAuthorizationFailed:           {kafkaGiveUp, Configuration, true, "not authorised"},
		kafka.ClusterAuthorizationFailed:         {kafkaGiveUp, Configuration, true, "not authorised on the cluster"},
		kafka.TransactionalIDAuthorizationFailed: {kafkaGiveUp, Configuration, true, "not authorised to be a producer"},
		kafka.UnsupportedSASLMechanism:           {kafkaGiveUp, Configuration, true, "sasl: the broker does not offer this mechanism"},
		kafka.IllegalSASLState:                   {kafkaGiveUp, Configuration, true, "sasl: the broker does not expect it on this port"},
		kafka.SASLAuthenticationFailed:           {kafkaGiveUp, Configuration, true, "sasl: user, password or token refused"},
		kafka.SecurityDisabled:                   {kafkaGiveUp, Configuration, true, "security is disabled on the broker"},
		kafka.UnsupportedVersion:                 {kafkaGiveUp, Configuration, true, "the broker is too old"},
		kafka.UnsupportedForMessageFormat:        {kafkaGiveUp, Configuration, true, "message format 2 refused"},
		kafka.UnsupportedCompressionType:         {kafkaGiveUp, Configuration, true, "compression refused"},
		kafka.PolicyViolation:                    {kafkaGiveUp, Configuration, true, "refused by the broker's policy"},
		kafka.InvalidTimestamp:                   {kafkaSendTime, Poison, true, "timestamps refused"},
		kafka.InvalidRecord:                      {kafkaBadRecord, Poison, true, "records refused"},
		kafka.OutOfOrderSequenceNumber:           {kafkaNewSession, Retry, true, "sequence out of order"},
		kafka.UnknownProducerId:                  {kafkaNewSession, Retry, true, "producer unknown"},
		kafka.InvalidProducerEpoch:               {kafkaNewSession, Retry, true, "producer's epoch refused"},
		kafka.InvalidProducerIDMapping:           {kafkaNewSession, Retry, true, "producer unknown"},
		kafka.DuplicateSequenceNumber:            {kafkaDelivered, Retry, false, "batch already there"},
	}
}

// kafkaJudge finds what an error means. What it does not know is taken for a
// network's trouble: the batch may have been written.
func kafkaJudge(err error) kafkaFault {
	var unknown *kafkaUnknownTopic
	if errors.As(err, &unknown) && unknown.persists {
		return kafkaFault{kafkaGiveUp, Configuration, true, unknown.Error()}
	}
	var code kafka.Error
	if errors.As(err, &code) {
		if f, ok := kafkaFaults()[code]; ok {
			return f
		}
		return kafkaFault{kafkaAgain, Retry, false, ""}
	}
	var record tls.RecordHeaderError
	if kafkaCertificateFault(err) || errors.As(err, &record) || kafkaBadToken(err) {
		return kafkaFault{kafkaGiveUp, Configuration, true, ""}
	}
	var op *net.OpError
	return kafkaFault{kafkaAgain, Retry, errors.As(err, &op) && op.Op == "dial", ""}
}

// kafkaCertificateFault reports whether one side refuses the other's certificate.
func kafkaCertificateFault(err error) bool {
	var ours *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	if errors.As(err, &ours) || errors.As(err, &authority) {
		return true
	}
	// crypto/tls reports the other side's alert as an OpError of this name.
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// kafkaFail makes the error that an outlet gets of a fault outside of any
// topic. A fault of the configuration asks for Open, which reads passwords and
// certificates again.
func kafkaFail(err error) *Error {
	f := kafkaJudge(err)
	return &Error{Class: f.class, Reopen: f.class == Configuration, Err: kafkaSay(f, err)}
}

// kafkaSay puts our words before the broker's.
func kafkaSay(f kafkaFault, err error) error {
	var code kafka.Error
	if f.text == "" || !errors.As(err, &code) || strings.Contains(err.Error(), f.text) {
		return err
	}
	return fmt.Errorf("%s: %w", f.text, err)
}

// kafkaReopen is kafkaFail for Open, which is called again in any case.
func kafkaReopen(err error) *Error {
	e := kafkaFail(err)
	e.Reopen = true
	return e
}

// kafkaCause takes kafka-go's function name off an error of its Client.
func kafkaCause(err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		return cause
	}
	return err
}

// kafkaJoin makes one line of the first few errors that differ.
func kafkaJoin(errs ...error) error {
	var joined error
	seen := map[string]bool{}
	for _, err := range errs {
		if err == nil || len(seen) == 4 || seen[err.Error()] {
			continue
		}
		seen[err.Error()] = true
		if joined == nil {
			joined = err
		} else {
			joined = fmt.Errorf("%w; %w", joined, err)
		}
	}
	return joined
}
