package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// cyclonedx is where the library keeps the schemas of the format.
func cyclonedx(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "schema")
}

// TestOwnBill makes the bill of this test's own binary, which is a Go program
// like any: valid by the format's own schema, and the same twice.
func TestOwnBill(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := run([]string{"sbom", self, "v1.2.3"}, out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("twice is not the same")
	}
	c := jsonschema.NewCompiler()
	for url, file := range map[string]string{
		"http://cyclonedx.org/schema/bom-1.6.schema.json":  "bom-1.6.schema.json",
		"http://cyclonedx.org/schema/spdx.schema.json":     "spdx.schema.json",
		"http://cyclonedx.org/schema/jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		text, err := os.Open(filepath.Join(cyclonedx(t), file))
		if err != nil {
			t.Fatal(err)
		}
		defer text.Close()
		doc, err := jsonschema.UnmarshalJSON(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(url, doc); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := c.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(first.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Error(err)
	}
	checkBill(t, first.Bytes())
}

// checkBill wants every component to have its licence, and those that this
// test surely holds to be there.
func checkBill(t *testing.T, text []byte) {
	t.Helper()
	var bom struct {
		Metadata   struct{ Component struct{ Version string } }
		Components []struct {
			Name, Purl string
			Licenses   []struct{ License struct{ ID string } }
		}
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	if bom.Metadata.Component.Version != "v1.2.3" {
		t.Errorf("version %q", bom.Metadata.Component.Version)
	}
	names := map[string]string{}
	for _, c := range bom.Components {
		if len(c.Licenses) != 1 || c.Licenses[0].License.ID == "" {
			t.Errorf("%s has no licence", c.Name)
			continue
		}
		names[c.Name] = c.Licenses[0].License.ID
		if !strings.HasPrefix(c.Purl, "pkg:golang/"+c.Name+"@") {
			t.Errorf("%s: purl %s", c.Name, c.Purl)
		}
	}
	for name, want := range map[string]string{"std": "BSD-3-Clause", "github.com/CycloneDX/cyclonedx-go": "Apache-2.0"} {
		if names[name] != want {
			t.Errorf("%s: licence %q, expected %s", name, names[name], want)
		}
	}
}

func TestNotices(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run([]string{"notices", self}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"github.com/CycloneDX/cyclonedx-go v", "Copyright (c) OWASP Foundation", "Redistribution and use in source and binary forms"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "expected sbom BINARY VERSION"},
		{[]string{"sbom", "x"}, "expected sbom BINARY VERSION"},
		{[]string{"sbom", "/nonexistent", "v1"}, "no such file"},
		{[]string{"notices", "main.go"}, "main.go"},
	} {
		if err := run(tt.args, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, expected %q", tt.args, err, tt.want)
		}
	}
}

func TestIdentify(t *testing.T) {
	for want, text := range map[string]string{
		"":             "All rights reserved.",
		"ISC":          "Permission to use, copy, modify, and distribute this software for any\npurpose with or without fee",
		"BSD-2-Clause": "Redistribution and use in source and binary forms, with or without",
		"BSD-3-Clause": "Redistribution and use in source and binary forms ... used to endorse or promote products",
		"MPL-2.0":      "Mozilla Public License, version 2.0",
	} {
		if got := identify(text); got != want {
			t.Errorf("%q is %q, expected %q", text, got, want)
		}
	}
}
