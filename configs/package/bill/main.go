// Command bill says what a built binary is made of, read from the binary
// itself: as a CycloneDX bill of materials, or as the licences that have to
// travel with it. It is run by the packaging, and nothing imports it.
//
//	bill sbom BINARY VERSION    JSON, CycloneDX 1.6
//	bill notices BINARY         every module's licence and notice, in full
//
// VERSION is ctferry's own: a binary built with -trimpath does not hold what
// the linker was told. The same binary always gives the same bytes.
package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bill:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) != 3 && (len(args) != 2 || args[0] == "sbom") {
		return errors.New("expected sbom BINARY VERSION, or notices BINARY")
	}
	info, err := buildinfo.ReadFile(args[1])
	if err != nil {
		return err
	}
	modules, err := modulesOf(info)
	if err != nil {
		return err
	}
	switch args[0] {
	case "sbom":
		info.Main.Version = args[2]
		return writeSBOM(out, info, modules)
	case "notices":
		return writeNotices(out, modules)
	}
	return fmt.Errorf("%q is not known: expected sbom or notices", args[0])
}
