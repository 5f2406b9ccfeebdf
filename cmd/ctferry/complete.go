package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ctferry/ctferry/cmd/ctferry/conntrack"
	"github.com/ctferry/ctferry/cmd/ctferry/frontend"
	"github.com/ctferry/ctferry/configs"
)

// completeTime bounds how long a shell waits for the nodes' names.
const completeTime = time.Second

// completing reports whether args ask, as the shells' scripts do, what could
// follow on a line of conntrack(8), which cobra knows nothing of.
func completing(args []string) bool {
	if len(args) < 2 || args[0] != cobra.ShellCompRequestCmd && args[0] != cobra.ShellCompNoDescRequestCmd {
		return false
	}
	return strings.HasPrefix(args[1], "-") && args[1] != "--" && (len(args) > 2 || len(args[1]) < 3 || args[1][1] == '-')
}

// complete tells what may stand in the place of the last word, in the form that
// cobra's scripts read: a word a line, then a colon and what the shell must not do.
func complete(line []string, out io.Writer) {
	words := completions(line)
	directive := cobra.ShellCompDirectiveNoFileComp
	if words == nil {
		directive = cobra.ShellCompDirectiveDefault // a file, perhaps
	}
	for _, w := range words {
		fmt.Fprintln(out, w)
	}
	fmt.Fprintf(out, ":%d\n", directive)
}

// completions lists words; nil means that nothing is known, not that there are none.
func completions(line []string) []string {
	last := line[len(line)-1]
	options := conntrack.Options(line[:len(line)-1])
	for _, x := range frontend.Extra() {
		options = append(options, conntrack.Extra{Name: "--" + x.Name, Value: x.Value})
	}
	if name, part, ok := strings.Cut(last, "="); ok && strings.HasPrefix(name, "--") {
		words := beginning(optionValues(name, line), part)
		for i := range words {
			words[i] = name + "=" + words[i]
		}
		return words
	}
	if len(line) > 1 {
		before := line[len(line)-2]
		if values := optionValues(before, line); values != nil && !strings.HasPrefix(last, "-") {
			return beginning(values, last)
		}
		if slices.Contains(options, conntrack.Extra{Name: before, Value: true}) {
			return nil
		}
	}
	var names []string
	for _, o := range options {
		names = append(names, o.Name)
	}
	if len(line) == 1 {
		names = append(names, "--help", "--version")
	}
	return beginning(names, last)
}

// optionValues lists what an option's value may be, nil if that is not known.
func optionValues(name string, line []string) []string {
	switch name {
	case "--node":
		return nodeNames(line)
	case "--netns":
		names := []string{}
		entries, _ := os.ReadDir("/run/netns") // none is no fault
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	return conntrack.Values(name)
}

// beginning gives, sorted and once each, the words that begin as the shell's
// does. Of a list in one word only its last part is completed.
func beginning(words []string, part string) []string {
	head, tail := "", part
	if i := strings.LastIndexByte(part, ','); i >= 0 {
		head, tail = part[:i+1], part[i+1:]
	}
	found := []string{}
	for _, w := range words {
		if strings.HasPrefix(w, tail) {
			found = append(found, head+w)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// nodeNames asks over NATS who answers, as the line says that it is reached.
func nodeNames(line []string) []string {
	flags := connectFlags{wait: completeTime / 2}
	for i, word := range line {
		value := ""
		if i+1 < len(line) {
			value = line[i+1]
		}
		name, attached, ok := strings.Cut(word, "=")
		if ok {
			value = attached
		}
		switch name {
		case "--server":
			flags.Server = value
		case "--creds":
			flags.Creds = value
		case "--nats-context":
			flags.Context = value
		case "--config", "-c":
			flags.Config = value
		case "--site":
			flags.Site = value
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*completeTime)
	defer cancel()
	found, err := askNodes(ctx, &flags, nil)
	names := []string{}
	if err != nil {
		return names // a shell has no place for a message
	}
	for i := range found {
		names = append(names, found[i].Node)
	}
	return names
}

// completeSet completes --set: the sections, and the sinks of the configuration.
func completeSet(flags *configFlags) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(_ *cobra.Command, args []string, part string) ([]string, cobra.ShellCompDirective) {
		words := []string{"node=", "meta.", "source.", "spool.", "control.", "nats_server.", "admin."}
		file := flags.file
		if file == "" && len(args) > 0 {
			file = args[0]
		}
		if cfg, err := configs.Load(configs.Input{File: file, Env: configs.Environ()}); err == nil {
			for name := range cfg.Named() {
				words = append(words, "sinks."+name+".")
			}
		}
		return beginning(words, part), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// completeWords completes a flag or an argument that is one of a few words.
func completeWords(words ...string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(_ *cobra.Command, _ []string, part string) ([]string, cobra.ShellCompDirective) {
		return beginning(words, part), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeYAML completes the one FILE that a command takes.
func completeYAML(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"yaml"}, cobra.ShellCompDirectiveFilterFileExt
}

// addCompletions tells cobra what the values of flags may be.
func addCompletions(c *cobra.Command, flags *configFlags) {
	file := func(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return []string{"yaml"}, cobra.ShellCompDirectiveFilterFileExt
	}
	for name, f := range map[string]func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective){
		"set": completeSet(flags), "config": file, "log-level": completeWords("debug", "info", "warn", "error"),
		"log-format": completeWords("text", "json"), "from": completeWords("json", "xml", "protobuf"),
	} {
		if c.Flags().Lookup(name) != nil {
			_ = c.RegisterFlagCompletionFunc(name, f) // it fails only for a flag that is not there
		}
	}
}

// completeNodes completes the names of nodes.
func completeNodes(flags *connectFlags) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(_ *cobra.Command, _ []string, part string) ([]string, cobra.ShellCompDirective) {
		line := []string{"--server=" + flags.Server, "--creds=" + flags.Creds, "--nats-context=" + flags.Context, "--config=" + flags.Config, "--site=" + flags.Site}
		return beginning(nodeNames(line), part), cobra.ShellCompDirectiveNoFileComp
	}
}
