package encode

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// xmllint validates files against the published schema.
func xmllint(t *testing.T, files []string) (string, error) {
	t.Helper()
	args := append([]string{"--noout", "--nonet", "--schema", "schemas/record.xsd"}, files...)
	out, err := exec.Command(need(t, "xmllint"), args...).CombinedOutput()
	return string(out), err
}

func TestXMLIsAsItsSchemaSays(t *testing.T) {
	need(t, "xmllint")
	dir := t.TempDir()
	var files []string
	write := func(name string, record []byte) {
		file := filepath.Join(dir, name+".xml")
		if err := os.WriteFile(file, record, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	withID, err := NewProjection(nil, nil, true, 1)
	if err != nil {
		t.Fatal(err)
	}
	enc := Formats()["xml"].NewEncoder(withID)
	for _, s := range corpus() {
		write(s.name, enc.Append(nil, oneOf(t, s.name)))
	}
	for seed := range uint64(300) {
		e := randomEvent(seed)
		if e.Type == flow.TypeGap && e.Gap == nil || e.Type == flow.TypeStatus && e.Agent == nil {
			continue // no reader makes these
		}
		write(fmt.Sprint("random", seed), enc.Append(nil, e))
	}
	if out, err := xmllint(t, files); err != nil {
		t.Errorf("xmllint: %v\n%.4000s", err, faults(out))
	}
}

// faults leaves out the files that are valid.
func faults(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasSuffix(line, " validates\n") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestXMLSchemaRefuses shows that the schema is not simply lax.
func TestXMLSchemaRefuses(t *testing.T) {
	good := string(Formats()["xml"].NewEncoder(Projection{}).Append(nil, oneOf(t, "tcp_destroy")))
	for _, change := range [][2]string{
		{`schema="ctferry.v1"`, `schema="ctferry.v2"`},
		{`seq="41"`, `seq="-1"`},
		{`seq="41"`, `seq="41" colour="red"`},
		{`<sport>40000<`, `<sport>65536<`},
		{`.000000007Z"`, `Z"`},
		{` ASSURED `, ` RELAXED `},
		{`</flow>`, `<loss/></flow>`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if good == bad {
			t.Fatalf("%s is not in %s", change[0], good)
		}
		file := filepath.Join(t.TempDir(), "bad.xml")
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := xmllint(t, []string{file}); err == nil {
			t.Errorf("the schema accepts %s", change[1])
		}
	}
}
