package conntrack

import (
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// elements calls f for each element of a comma-separated list. An element that
// f does not know is an error that names the rest of the list, as the tool's.
func elements(list string, f func(string) (bool, error)) error {
	for rest, more := list, true; more; {
		at := rest
		var word string
		word, rest, more = strings.Cut(rest, ",")
		known, err := f(word)
		if err != nil {
			return err
		}
		if !known {
			return wrong("Bad parameter `%s'", at)
		}
	}
	return nil
}

// find is the place of the one word that s abbreviates, in any case, or -1.
func find(words []string, s string) (at int, unique bool) {
	at = -1
	for i, w := range words {
		if len(s) == 0 || len(s) > len(w) || !strings.EqualFold(w[:len(s)], s) {
			continue
		}
		if len(s) == len(w) {
			return i, true
		}
		if at >= 0 {
			return at, false
		}
		at = i
	}
	return at, true
}

const (
	wordUnset     = 0
	wordUnreplied = 1
	wordSrcNAT    = 2
	wordDstNAT    = 3
)

// status adds the words of one -u to those before.
func (l *line) status(list string) error {
	words := []string{"UNSET", "UNREPLIED", "SRC_NAT", "DST_NAT", "ASSURED", "SEEN_REPLY", "FIXED_TIMEOUT", "EXPECTED", "OFFLOAD", "HW_OFFLOAD"}
	st := &l.cmd.Status
	st.Set = true
	return elements(list, func(w string) (bool, error) {
		at, unique := find(words, w)
		switch {
		case at < 0, at == wordUnreplied && w != words[at]: // the tool knows UNREPLIED in full and in capitals only
			return false, nil
		case !unique:
			return true, stricter("status-ambiguous", "Bad parameter `%s': it abbreviates more than one status", w)
		case at == wordSrcNAT, at == wordDstNAT:
			return true, stricter("status-nat", "Bad parameter `%s': use --src-nat or --dst-nat instead", w)
		case at == wordUnset:
			l.unset = true
		case at == wordUnreplied:
			st.Unreplied = true
		default:
			bit, ok := flow.ParseStatus(words[at])
			st.Bits |= bit
			return ok, nil
		}
		return true, nil
	})
}

// events adds the words of one -e to those before.
func (l *line) events(list string) error {
	masks := []flow.Types{
		flow.TypesOf(flow.TypeNew, flow.TypeUpdate, flow.TypeDestroy),
		flow.TypesOf(flow.TypeNew), flow.TypesOf(flow.TypeUpdate), flow.TypesOf(flow.TypeDestroy),
	}
	return elements(list, func(w string) (bool, error) {
		at, _ := find([]string{"ALL", "NEW", "UPDATES", "DESTROY"}, w)
		if at < 0 {
			return false, nil
		}
		l.cmd.Events |= masks[at]
		return true, nil
	})
}

// output adds the words of one -o to those before.
func (l *line) output(list string) error {
	out := &l.cmd.Output
	err := elements(list, func(w string) (bool, error) {
		at, _ := find(outputWords(), w)
		if at < 0 {
			return false, nil
		}
		*out |= 1 << at
		return true, nil
	})
	switch {
	case err != nil:
		return err
	case out.Has(OutputSave) && *out != OutputSave:
		return notBoth("cannot combine save output with any other output type, use -o save only")
	case out.Has(OutputJSON | OutputXML):
		return stricter("json", "cannot combine json output with xml")
	}
	return nil
}

// state reads the argument of --state in the words of the line's protocol. The
// tool wants capitals.
func (l *line) state(s string) error {
	parse, name := flow.ParseTCPState, "unknown TCP state"
	switch l.cmd.Proto.Value {
	case flow.ProtoSCTP:
		parse, name = flow.ParseSCTPState, "unknown SCTP state"
	case flow.ProtoDCCP:
		parse, name = flow.ParseDCCPState, "Unknown DCCP state"
	}
	v, ok := parse(s)
	if (!ok || s != strings.ToUpper(s)) && l.cmd.Proto.Value == flow.ProtoSCTP {
		return stricter("sctp-state", "%s `%s'", name, s)
	}
	if !ok || s != strings.ToUpper(s) {
		return wrong("%s `%s'", name, s)
	}
	l.cmd.State = Some(v)
	return nil
}

// role reads --role: a word of DCCP, or its beginning, in any case.
func (l *line) role(s string) error {
	at, _ := find([]string{"client", "server"}, s)
	if s == "" {
		return stricter("empty-words", "Unknown DCCP role `'")
	}
	if at < 0 {
		return wrong("Unknown DCCP role `%s'", s)
	}
	l.cmd.Role = Some(uint8(at))
	return nil
}

// labels reads a comma-separated list of label names.
func (l *line) labels(list string) ([]string, error) {
	names := strings.Split(list, ",")
	for _, n := range names {
		if n == "" || l.known != nil && !l.known(n) {
			return nil, wrong("unknown label '%s'", n)
		}
	}
	return names, nil
}
