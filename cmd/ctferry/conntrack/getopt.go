package conntrack

import "strings"

// scanner reads options off a line the way GNU getopt_long does: in any order,
// short ones bundled, long ones by any unique prefix, words that are no option
// stepped over, and -- ends them.
type scanner struct {
	argv    []string
	next    int    // the word that comes next
	bundle  string // what is left of a word of short options
	word    string // the word of the option that was read last
	strays  []string
	table   []option // grows by a protocol's options when -p is read
	extra   []option // the caller's; they never outdo the tool's own
	options int      // how many were read, the caller's own not counted
}

// read gives the next option and its value. has tells whether there is a
// value; ok is false at the end of the line.
func (s *scanner) read() (o *option, value string, has, ok bool, err error) {
	if s.bundle != "" {
		o, value, has, err = s.short()
		return o, value, has, true, err
	}
	for s.next < len(s.argv) {
		s.word = s.argv[s.next]
		s.next++
		switch {
		case s.word == "--":
			s.strays = append(s.strays, s.argv[s.next:]...)
			s.next = len(s.argv)
		case strings.HasPrefix(s.word, "--"):
			o, value, has, err = s.long()
			return o, value, has, true, err
		case len(s.word) > 1 && s.word[0] == '-':
			s.bundle = s.word[1:]
			o, value, has, err = s.short()
			return o, value, has, true, err
		default:
			s.strays = append(s.strays, s.word)
		}
	}
	return nil, "", false, false, nil
}

func (s *scanner) short() (*option, string, bool, error) {
	c := s.bundle[0]
	s.bundle = s.bundle[1:]
	if at := strings.IndexByte(shortOptions, c); at >= 0 && c != 0 {
		o := &s.table[at]
		if o.arg == argNone {
			return o, "", false, nil
		}
		attached, has := s.bundle, s.bundle != ""
		s.bundle = ""
		return s.valued(o, attached, has)
	}
	if s.bundle != "" {
		return nil, "", false, stricter("bundle-word", "unknown option `%s'", s.word)
	}
	return nil, "", false, s.unknown()
}

func (s *scanner) long() (*option, string, bool, error) {
	name, attached, has := strings.Cut(s.word[2:], "=")
	o, ok := match(s.table, name)
	if !ok {
		o, ok = match(s.extra, name)
	}
	if !ok || has && o.arg == argNone {
		return nil, "", false, s.unknown()
	}
	return s.valued(o, attached, has)
}

// valued finds the value of an option that may have one.
func (s *scanner) valued(o *option, attached string, has bool) (*option, string, bool, error) {
	switch {
	case has || o.arg == argNone:
		return o, attached, has, nil
	case s.next < len(s.argv) && (o.arg == argRequired || !strings.HasPrefix(s.argv[s.next], "-")):
		s.next++
		return o, s.argv[s.next-1], true, nil
	case o.verb == VerbLoadFile:
		return o, "", false, stricter("load-file", "option `%s' requires an argument", s.word)
	case o.arg == argRequired:
		return o, "", false, wrong("option `%s' requires an argument", s.word)
	}
	return o, "", false, nil
}

func (s *scanner) unknown() error { return wrong("unknown option `%s'", s.word) }

// match finds the option of a long name: the whole name, or a prefix that
// belongs to one option only. Aliases are one option. A protocol's own options
// stand at the end, and a file for -R has few others by their long names.
func match(table []option, name string) (found *option, ok bool) {
	if name == "" {
		return nil, false
	}
	matches := 0
	for i := len(table) - 1; i >= 0; i-- {
		o := &table[i]
		for _, n := range o.names {
			switch {
			case len(n) < len(name) || n[0] != name[0] || n[:len(name)] != name:
			case len(n) == len(name):
				return o, true
			case matches == 0 || !same(o, found):
				found = o
				matches++
			}
		}
	}
	return found, matches == 1
}

func same(a, b *option) bool {
	return a.key == b.key && a.verb == b.verb && a.names[0] == b.names[0]
}
