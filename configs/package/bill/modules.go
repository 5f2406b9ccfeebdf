package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

// module is one that the binary holds, with its licence.
type module struct {
	path, version, sum string
	license            string   // an SPDX identifier; empty where the text is none that is known
	texts              []string // licences and notices, in full
}

// modulesOf lists what the binary holds beside the program itself, the
// standard library last. The modules have to be in the module cache, where the
// build has put them.
func modulesOf(info *debug.BuildInfo) ([]module, error) {
	var all []module
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		all = append(all, module{path: dep.Path, version: dep.Version, sum: dep.Sum})
	}
	dirs, err := moduleDirs(all)
	if err != nil {
		return nil, err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	all = append(all, module{path: "std", version: strings.TrimPrefix(info.GoVersion, "go")})
	dirs["std"] = strings.TrimSpace(string(root))
	for i := range all {
		if err := all[i].readLicense(dirs[all[i].path]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// moduleDirs asks go where it keeps the modules.
func moduleDirs(all []module) (map[string]string, error) {
	args := []string{"mod", "download", "-json"}
	for _, m := range all {
		args = append(args, m.path+"@"+m.version)
	}
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	dirs := map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct{ Path, Dir string }
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			return dirs, nil
		} else if err != nil {
			return nil, fmt.Errorf("go mod download: %w", err)
		}
		dirs[m.Path] = m.Dir
	}
}

// readLicense reads the licence and the notices of a module's top folder.
func (m *module) readLicense(dir string) error {
	if dir == "" {
		return fmt.Errorf("module %s: not in the module cache", m.path)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("module %s: %w", m.path, err)
	}
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		stem, _, _ := strings.Cut(name, ".")
		if e.IsDir() || !slices.Contains([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"}, stem) || strings.HasSuffix(name, ".GO") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return fmt.Errorf("module %s: %w", m.path, err)
		}
		m.texts = append(m.texts, string(text))
		if m.license == "" {
			m.license = identify(string(text))
		}
	}
	if len(m.texts) == 0 {
		return fmt.Errorf("module %s: it has no licence in %s", m.path, dir)
	}
	return nil
}

// identify knows the licences that Go modules have by sentences that no other has.
func identify(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, known := range []struct{ id, sentence, also string }{
		{"Apache-2.0", "Apache License Version 2.0", ""},
		{"MPL-2.0", "Mozilla Public License", "2.0"},
		{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy", "The above copyright notice and this permission notice"},
		{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose", ""},
		{"ISC", "Permission to use, copy, modify, and distribute this software for any purpose", ""},
		{"BSD-3-Clause", "Redistribution and use in source and binary forms", "endorse or promote"},
		{"BSD-2-Clause", "Redistribution and use in source and binary forms", ""},
	} {
		if strings.Contains(text, known.sentence) && strings.Contains(text, known.also) {
			return known.id
		}
	}
	return ""
}

// writeNotices writes what the licences ask to be passed on.
func writeNotices(out io.Writer, modules []module) error {
	var b strings.Builder
	b.WriteString("ctferry is under the Apache License 2.0. Its binary holds the work of others,\nunder these licences:\n")
	for _, m := range modules {
		fmt.Fprintf(&b, "\n%s\n%s %s\n%[1]s\n", strings.Repeat("=", 78), m.path, m.version)
		for _, text := range m.texts {
			fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(text))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
