package configs

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"

	"github.com/ctferry/ctferry/sinks"
)

// composed is docker-compose.yml as compose itself reads it. No engine runs it
// here: what can be wrong without one is what these tests look for.
func composed(t *testing.T) *types.Project {
	t.Helper()
	o, err := cli.NewProjectOptions([]string{"../docker-compose.yml"}, cli.WithName("ctferry"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestComposeIsPinned wants whole versions, and those of the modules and of the
// broker that the tests run.
func TestComposeIsPinned(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	pom, err := os.ReadFile("../internal/testbroker/assets/pom.xml")
	if err != nil {
		t.Fatal(err)
	}
	version := func(text []byte, pattern string) string {
		m := regexp.MustCompile(pattern).FindSubmatch(text)
		if m == nil {
			t.Fatalf("no %s", pattern)
		}
		return string(m[1])
	}
	want := map[string]string{
		"apache/kafka":    version(pom, `<version>([0-9.]+)</version> <!-- the version of Kafka`),
		"nats":            version(mod, `nats-server/v2 v([0-9.]+)`) + "-alpine",
		"prom/prometheus": "v3." + strings.TrimPrefix(version(mod, `prometheus/prometheus v0\.3([0-9.]+)`), "0"),
		"grafana/grafana": "",
	}
	for name, s := range composed(t).Services {
		image, tag, _ := strings.Cut(s.Image, ":")
		if s.Build != nil {
			if _, err := os.Stat(filepath.Join(s.Build.Context, "Dockerfile")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if w, known := want[image]; !known || w != "" && tag != w || !regexp.MustCompile(`^v?\d+\.\d+\.\d+(-alpine)?$`).MatchString(tag) {
			t.Errorf("%s: image %s: expected %s:%s", name, s.Image, image, w)
		}
	}
}

// TestComposeMounts wants every folder and file that is mounted from here.
func TestComposeMounts(t *testing.T) {
	for name, s := range composed(t).Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if !v.ReadOnly {
				t.Errorf("%s: %s may be written", name, v.Source)
			}
		}
		for other, d := range s.DependsOn {
			if d.Condition == types.ServiceConditionHealthy && composed(t).Services[other].HealthCheck == nil {
				t.Errorf("%s waits for the health of %s, which has no check", name, other)
			}
		}
	}
}

// listeners are the addresses at which each service can be reached on the host.
func listeners(p *types.Project) map[string][]string {
	all := map[string][]string{}
	for name, s := range p.Services {
		for _, port := range s.Ports {
			all[name] = append(all[name], net.JoinHostPort(port.HostIP, port.Published))
		}
	}
	all["prometheus"] = flagValues(p.Services["prometheus"].Command, "--web.listen-address=")
	env := p.Services["grafana"].Environment
	all["grafana"] = []string{net.JoinHostPort(*env["GF_SERVER_HTTP_ADDR"], *env["GF_SERVER_HTTP_PORT"])}
	return all
}

func flagValues(command []string, flag string) (values []string) {
	for _, word := range command {
		if v, ok := strings.CutPrefix(word, flag); ok {
			values = append(values, v)
		}
	}
	return values
}

// TestComposeAddresses holds that everything that names an address names one at
// which somebody listens, that all of these are on loopback, and none is taken twice.
func TestComposeAddresses(t *testing.T) {
	p, cfg := composed(t), shipped(t, "compose.yaml")
	at := listeners(p)
	at["ctferry"] = []string{cfg.Admin.Listen}
	taken := map[string]string{}
	for name, addresses := range at {
		for _, a := range addresses {
			if host, _, err := net.SplitHostPort(a); err != nil || host != "127.0.0.1" || taken[a] != "" {
				t.Errorf("%s listens at %q, %s does too, %v", name, a, taken[a], err)
			}
			taken[a] = name
		}
	}
	expect := func(what, address, service string) {
		if !slices.Contains(at[service], address) {
			t.Errorf("%s is %q: expected one of %s: %v", what, address, service, at[service])
		}
	}
	kafka := p.Services["kafka"].Environment
	expect("KAFKA_ADVERTISED_LISTENERS", strings.TrimPrefix(*kafka["KAFKA_ADVERTISED_LISTENERS"], "PLAINTEXT://"), "kafka")
	for i := range cfg.Sinks {
		switch o := cfg.Sinks[i].Options.(type) {
		case *sinks.KafkaOptions:
			expect("brokers", o.Brokers[0], "kafka")
			if topics := flagValues(p.Services["topic"].Command, "--topic="); len(topics) != 1 || topics[0] != o.Topic {
				t.Errorf("topic %s, made: %v", o.Topic, topics)
			}
		case *sinks.NATSOptions:
			expect("urls", strings.TrimPrefix(o.URLs[0], "nats://"), "nats")
		case *sinks.FileOptions:
			if !slices.ContainsFunc(p.Services["ctferry"].Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == filepath.Dir(o.Path) }) {
				t.Errorf("%s is on no volume", o.Path)
			}
		}
	}
	for _, target := range scraped(t) {
		expect("target", target, "ctferry")
	}
	expect("data source", strings.TrimPrefix(dataSource(t), "http://"), "prometheus")
}

// TestComposeHealth holds that a health check asks a port of its own service.
func TestComposeHealth(t *testing.T) {
	p := composed(t)
	at := listeners(p)
	at["kafka"] = append(at["kafka"], "127.0.0.1:9092")
	at["nats"] = append(at["nats"], "127.0.0.1:"+p.Services["nats"].Command[slices.Index(p.Services["nats"].Command, "-m")+1])
	for name, s := range p.Services {
		if s.HealthCheck == nil {
			continue
		}
		asked := s.HealthCheck.Test[len(s.HealthCheck.Test)-1]
		if i := slices.Index(s.HealthCheck.Test, "--bootstrap-server"); i >= 0 {
			asked = "tcp://" + s.HealthCheck.Test[i+1]
		}
		if u, err := url.Parse(asked); err != nil || !slices.Contains(at[name], u.Host) {
			t.Errorf("%s: its check asks %q: expected one of %v", name, asked, at[name])
		}
	}
}

// decodeYAML reads a file of this folder strictly.
func decodeYAML(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", name, err))
	}
}

func scraped(t *testing.T) (targets []string) {
	t.Helper()
	var file struct {
		Global    map[string]string `yaml:"global"`
		RuleFiles []string          `yaml:"rule_files"`
		Jobs      []struct {
			Name   string `yaml:"job_name"`
			Static []struct {
				Targets []string `yaml:"targets"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	decodeYAML(t, "prometheus/prometheus.yaml", &file)
	for _, name := range file.RuleFiles {
		if _, err := os.Stat(filepath.Join("prometheus", name)); err != nil {
			t.Error(err)
		}
	}
	for _, j := range file.Jobs {
		for _, s := range j.Static {
			targets = append(targets, s.Targets...)
		}
	}
	return targets
}

func dataSource(t *testing.T) string {
	t.Helper()
	var file struct {
		APIVersion  int `yaml:"apiVersion"`
		DataSources []struct {
			Name, Type, UID, Access, URL string
			IsDefault                    bool `yaml:"isDefault"`
		} `yaml:"datasources"`
	}
	decodeYAML(t, "grafana/provisioning/datasources/prometheus.yaml", &file)
	return file.DataSources[0].URL
}
