package sinks

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ctferry/ctferry/internal/option"
)

// TestKafkaProbe asks brokers that are right and brokers that are wrong in one
// way each.
func TestKafkaProbe(t *testing.T) {
	open := startKfake(t, 1, 1)
	may := func(op kmsg.ACLOperation) kfake.ACL {
		return kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: kafkaTestTopic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: true}
	}
	closed := startKfake(t, 1, 1, kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.User("PLAIN", "writer", "pw", may(kmsg.ACLOperationWrite), may(kmsg.ACLOperationDescribe)),
		kfake.User("PLAIN", "reader", "pw", may(kmsg.ACLOperationRead), may(kmsg.ACLOperationDescribe)),
		kfake.User("PLAIN", "nobody", "pw"))
	as := func(user string) func(*KafkaOptions) {
		return func(o *KafkaOptions) {
			o.SASL = KafkaSASL{Mechanism: "plain", User: user, Password: option.NewSecret("pw")}
		}
	}
	for name, tt := range map[string]struct {
		brokers []string
		change  func(*KafkaOptions)
		step    ProbeStep
		wrong   bool
	}{
		"open":       {open.ListenAddrs(), nil, 0, false},
		"template":   {open.ListenAddrs(), func(o *KafkaOptions) { o.Topic = "flows.{proto}" }, 0, false},
		"no topic":   {open.ListenAddrs(), func(o *KafkaOptions) { o.Topic = "absent" }, ProbePlace, true},
		"no broker":  {[]string{"127.0.0.1:1"}, nil, ProbeReach, true},
		"writer":     {closed.ListenAddrs(), as("writer"), 0, false},
		"reader":     {closed.ListenAddrs(), as("reader"), ProbeWrite, true},
		"no rights":  {closed.ListenAddrs(), as("nobody"), ProbeWrite, true},
		"a stranger": {closed.ListenAddrs(), as("stranger"), ProbeReach, true},
	} {
		err := newTestKafka(t, tt.brokers, tt.change, nil).Probe(t.Context(), 0)
		var fault *ProbeError
		if errors.As(err, &fault) != tt.wrong || tt.wrong && fault.Step != tt.step {
			t.Errorf("%s: %v (%+v)", name, err, fault)
		}
	}
}
