package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// writeSBOM writes the bill of materials. It holds no time and no random
// number: the serial number is a hash of what it lists.
func writeSBOM(out io.Writer, info *debug.BuildInfo, modules []module) error {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	program := cdx.Component{
		Type: cdx.ComponentTypeApplication, BOMRef: info.Main.Path, Name: "ctferry", Version: info.Main.Version,
		PackageURL: purl(info.Main.Path, info.Main.Version), Licenses: license("Apache-2.0"),
		Properties: &[]cdx.Property{
			{Name: "go:version", Value: info.GoVersion}, {Name: "go:os", Value: settings["GOOS"]},
			{Name: "go:arch", Value: settings["GOARCH"]},
		},
	}
	var components []cdx.Component
	var refs []string
	for _, m := range modules {
		c, err := component(m)
		if err != nil {
			return err
		}
		components, refs = append(components, c), append(refs, c.BOMRef)
	}
	bom := cdx.NewBOM()
	bom.SerialNumber = serial(info)
	bom.Metadata = &cdx.Metadata{Component: &program}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: program.BOMRef, Dependencies: &refs}}
	return cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
}

// component is a module with its checksum as go.sum has it: a hash over the
// module's files (h1), not over an archive, so it is a property and no hash.
func component(m module) (cdx.Component, error) {
	c := cdx.Component{
		Type: cdx.ComponentTypeLibrary, BOMRef: m.path + "@" + m.version, Name: m.path, Version: m.version,
		PackageURL: purl(m.path, m.version), Licenses: license(m.license),
	}
	if m.sum == "" {
		return c, nil
	}
	text, ok := strings.CutPrefix(m.sum, "h1:")
	sum, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(sum) != sha256.Size {
		return c, fmt.Errorf("module %s: checksum %q: expected h1: and a SHA-256", m.path, m.sum)
	}
	c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.sum}}
	return c, nil
}

func license(id string) *cdx.Licenses {
	if id == "" {
		return nil
	}
	return &cdx.Licenses{{License: &cdx.License{ID: id}}}
}

// purl names a module as package-url does, type golang.
func purl(path, version string) string {
	if version == "" || version == "(devel)" {
		return "pkg:golang/" + path
	}
	return "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
}

// serial is a UUID (version 8, RFC 9562: of our own making) of the build.
func serial(info *debug.BuildInfo) string {
	sum := sha256.Sum256([]byte(info.String()))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	h := hex.EncodeToString(sum[:16])
	return "urn:uuid:" + h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
