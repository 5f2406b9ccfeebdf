package control

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// ServiceName is the name by which NATS tools find the nodes ($SRV.PING.ctferry).
const ServiceName = "ctferry"

// Metadata of a node's micro service.
const (
	metaNode    = "node"
	metaSite    = "site"
	metaPrefix  = "prefix"
	metaRun     = "run"
	metaBoot    = "boot_id"
	metaVersion = "version"
	metaNetNS   = "netns" // names, with commas between
)

// pendingRequests and pendingBytes bound what waits in an endpoint's
// subscription. It is soon handed on; what is over the bounds is lost, and
// nats.go says so.
const (
	pendingRequests = 1024
	pendingBytes    = 16 << 20
)

// endpointCounts are what one endpoint has been asked.
type endpointCounts struct {
	Requests uint64 `json:"requests"`
	Refused  uint64 `json:"refused"` // ended with an error
	Rows     uint64 `json:"rows"`
}

// announce subscribes to the requests and tells NATS of the service.
func (s *Service) announce() (micro.Service, error) {
	svc, err := micro.AddService(s.nc, micro.Config{
		Name: ServiceName, Version: semver(s.o.Version), Description: "conntrack(8) on " + s.o.Origin.Node,
		Metadata: s.metadata(), QueueGroupDisabled: true,
		StatsHandler: s.stats,
		ErrorHandler: func(_ micro.Service, err *micro.NATSError) {
			s.log.Warn("control subscription failed", "subject", err.Subject, "err", err)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("control: service: %w", err)
	}
	if err := s.addEndpoints(svc); err != nil {
		_ = svc.Stop()
		return nil, fmt.Errorf("control: endpoint: %w", err)
	}
	return svc, nil
}

// addEndpoints subscribes to each verb, of the node and of the fleet. The table
// is a wildcard, so that one that there is not is refused by name.
func (s *Service) addEndpoints(svc micro.Service) error {
	for _, v := range Verbs() {
		for name, subject := range map[string]string{
			"node-" + string(v):  s.subjects.Node(s.o.Origin.Node, anyToken, v),
			"fleet-" + string(v): s.subjects.Fleet(anyToken, v),
		} {
			err := svc.AddEndpoint(name, s.endpoint(name, v, strings.HasPrefix(name, "fleet")),
				micro.WithEndpointSubject(subject), micro.WithEndpointPendingLimits(pendingRequests, pendingBytes))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// endpoint takes the requests of one verb.
func (s *Service) endpoint(name string, v Verb, fleet bool) micro.HandlerFunc {
	return func(r micro.Request) {
		s.take(&job{
			endpoint: name, verb: v, table: tableOf(r.Subject()), data: r.Data(), header: nats.Header(r.Headers()), reply: r.Reply(),
			peer: Peer{Subject: r.Subject(), Fleet: fleet, User: clip(r.Headers().Get(headerUser)), Info: r.Headers().Get(headerInfo)},
		})
	}
}

// hear takes a caller's word about its answer. One about an answer that has
// ended comes too late and is passed over.
func (s *Service) hear(m *nats.Msg) {
	_, token, _ := cutLast(m.Subject)
	s.mu.Lock()
	a := s.answers[token]
	s.mu.Unlock()
	if a != nil {
		a.out.word(m)
	}
}

func (s *Service) metadata() map[string]string {
	o := s.o.Origin
	m := map[string]string{
		metaNode: o.Node, metaSite: s.subjects.Site, metaPrefix: s.subjects.Prefix, metaRun: s.run,
		metaBoot: fmt.Sprintf("%x", o.BootID), metaVersion: s.o.Version,
	}
	if len(s.o.NetNS) > 0 {
		m[metaNetNS] = strings.Join(s.o.NetNS, ",")
	}
	for _, p := range o.Meta {
		if _, ours := m[p.Key]; !ours {
			m[p.Key] = p.Value
		}
	}
	return maps.Clone(m)
}

// endpointData is what STATS tells of an endpoint beside what NATS counts, and
// of the node: how full its tables are, and how much it has to do.
type endpointData struct {
	endpointCounts
	UnderWay int         `json:"under_way"`
	Watches  int         `json:"watches"`
	Tables   []tableData `json:"tables"`
}

type tableData struct {
	NetNS   string `json:"netns,omitempty"`
	Entries uint32 `json:"entries"`
	Max     uint32 `json:"max"`
}

// stats gives an endpoint's data.
func (s *Service) stats(e *micro.Endpoint) any {
	agent, _ := s.agent.get(s.o.Agent)
	s.mu.Lock()
	defer s.mu.Unlock()
	d := endpointData{UnderWay: s.taken, Watches: s.watches}
	if c := s.counts[e.Name]; c != nil {
		d.endpointCounts = *c
	}
	for _, t := range agent.Tables {
		d.Tables = append(d.Tables, tableData(t))
	}
	return d
}

// semver gives a version in the form that NATS services need.
func semver(v string) string {
	v = strings.TrimPrefix(v, "v")
	if ok, _ := regexp.MatchString(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`, v); ok {
		return v
	}
	return "0.0.0-x-" + strings.ReplaceAll(Token(v), "_", "-")
}

// agentAge is how old what STATS tells of the node may be: it asks once for
// every endpoint.
const agentAge = time.Second
