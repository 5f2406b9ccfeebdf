package testbroker

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
)

// controller is the listener on which the node speaks to itself.
const controller Listener = "CONTROLLER"

// ports are the TCP ports on 127.0.0.1, one a listener.
type ports map[Listener]int

// choosePorts takes free ports below the range from which Linux gives ephemeral ones (32768, ip_local_port_range): a client that
// keeps dialling a dead broker on an ephemeral port may one day get that port as its own and be connected to itself, and any
// outgoing connection may take the port away before Restart. Another process may still take one first: see start.
func choosePorts() (ports, error) {
	chosen := make(ports)
	for _, l := range append(slices.Collect(maps.Keys(listeners())), controller) {
		port, err := freePort(chosen)
		if err != nil {
			return nil, fmt.Errorf("listener %s: %w", l, err)
		}
		chosen[l] = port
	}
	return chosen, nil
}

func freePort(taken ports) (int, error) {
	const first, count, tries = 15000, 17000, 200
	var last error
	for range tries {
		port := first + rand.IntN(count)
		if slices.Contains(slices.Collect(maps.Values(taken)), port) {
			continue
		}
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			last = err
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("no free port in %d tries: %w", tries, last)
}

// configuration renders server.properties; extra wins over what is set here.
func configuration(p ports, storage string, c Certificates, extra map[string]string) []byte {
	all := nodeConfiguration(p, storage)
	maps.Copy(all, saslConfiguration())
	if c.CA != "" {
		maps.Copy(all, tlsConfiguration(c))
	}
	maps.Copy(all, extra)
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s=%s\n", name, escape.Replace(all[name]))
	}
	return b.Bytes()
}

// nodeConfiguration is the node, its listeners and its economy.
func nodeConfiguration(p ports, storage string) map[string]string {
	protocols := listeners()
	protocols[controller] = "PLAINTEXT"
	var open, kinds []string
	for _, l := range slices.Sorted(maps.Keys(p)) {
		open = append(open, fmt.Sprintf("%s://127.0.0.1:%d", l, p[l]))
		kinds = append(kinds, fmt.Sprintf("%s:%s", l, protocols[l]))
	}
	return map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        "1",
		"controller.quorum.voters":       fmt.Sprintf("1@127.0.0.1:%d", p[controller]),
		"controller.listener.names":      string(controller),
		"inter.broker.listener.name":     string(Plaintext),
		"listeners":                      strings.Join(open, ","),
		"listener.security.protocol.map": strings.Join(kinds, ","),
		"log.dirs":                       storage,

		"auto.create.topics.enable": "false", // as the product demands
		"log.retention.ms":          "-1",    // tests write old times; nothing may vanish under them

		// A killed broker may join again only when the controller has given up its former life. By default that takes 9 s.
		"broker.session.timeout.ms":    "3000",
		"broker.heartbeat.interval.ms": "500",

		// Rights are in force for topics that have some (DenyWrite); plaintext clients may always do everything.
		"authorizer.class.name":                            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"allow.everyone.if.no.acl.found":                   "true",
		"super.users":                                      "User:ANONYMOUS",
		"group.initial.rebalance.delay.ms":                 "0",
		"offsets.topic.replication.factor":                 "1",
		"offsets.topic.num.partitions":                     "1",
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "1",
		"transaction.state.log.replication.factor":         "1",
		"share.coordinator.state.topic.min.isr":            "1",
		"share.coordinator.state.topic.num.partitions":     "1",
		"share.coordinator.state.topic.replication.factor": "1",

		// Small: one broker per test process, on few cores. The cleaner's buffer alone is 128 MiB by default.
		"num.network.threads":            "1", // of each listener
		"num.io.threads":                 "2",
		"background.threads":             "2",
		"log.cleaner.dedupe.buffer.size": "2097152",
		"log.index.size.max.bytes":       "1048576",
	}
}

// saslConfiguration lets User in by each mechanism. SCRAM's secrets are in the storage.
func saslConfiguration() map[string]string {
	all := make(map[string]string)
	for _, l := range []Listener{SASL, SASLTLS} {
		prefix := "listener.name." + strings.ToLower(string(l)) + "."
		all[prefix+"sasl.enabled.mechanisms"] = fmt.Sprintf("%s,%s,%s", Plain, ScramSHA256, ScramSHA512)
		all[prefix+"plain.sasl.jaas.config"] = fmt.Sprintf(
			"org.apache.kafka.common.security.plain.PlainLoginModule required user_%s=%q;", User, Password)
		for _, m := range []Mechanism{ScramSHA256, ScramSHA512} {
			all[prefix+strings.ToLower(string(m))+".sasl.jaas.config"] = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
		}
	}
	return all
}

// tlsConfiguration names the server's certificates and asks for the client's on one listener.
func tlsConfiguration(c Certificates) map[string]string {
	return map[string]string{
		"ssl.keystore.type":       "PEM",
		"ssl.keystore.location":   c.ServerPair,
		"ssl.truststore.type":     "PEM",
		"ssl.truststore.location": c.CA,
		"listener.name." + strings.ToLower(string(MutualTLS)) + ".ssl.client.auth": "required",
	}
}
