package conntrack

import "strings"

// The limits of a line of a file for -R, which are the tool's.
const (
	maxWord  = 1023 // bytes
	maxWords = 254
)

// ParseLine reads one line of a file for -R: words parted by blanks and double
// quotes, perhaps with the program's name in front. An empty line and one that
// begins with # are no command, and the Command is nil. Only the commands that
// need no answer are allowed.
func (p *Parser) ParseLine(text string) (*Command, error) {
	argv, err := splitLine(text)
	if err != nil || len(argv) == 0 || strings.HasPrefix(argv[0], "#") {
		return nil, err
	}
	if argv[0] == "conntrack" {
		argv = argv[1:]
	}
	c, err := p.Parse(argv)
	if err != nil {
		return nil, err
	}
	switch c.Verb {
	case VerbGet, VerbDelete, VerbCreate, VerbAdd, VerbUpdate, VerbFlush:
		if c.Table == TableConntrack {
			return c, nil
		}
	}
	name := c.Verb.Flag()
	switch {
	case c.Verb == VerbLoadFile:
		return nil, stricter("load-file", "Cannot use command `-R' with --load-file")
	case c.Verb == VerbCreate:
		return nil, stricter("load-expect", "Cannot use command `-I expect' with --load-file")
	case name == "":
		name = "unknown"
	case c.Table == TableExpect:
		name += " " + c.Table.String()
	}
	return nil, wrong("Cannot use command `%s' with --load-file", name)
}

// splitLine parts a line into words. Double quotes keep blanks in a word; there
// is no escape.
func splitLine(text string) ([]string, error) {
	var argv []string
	var word strings.Builder
	inWord, quoted := false, false
	for _, r := range []byte(strings.TrimRight(text, "\r\n")) {
		switch {
		case r == '"':
			quoted, inWord = !quoted, true
		case !quoted && (r == ' ' || r == '\t'):
			if inWord {
				argv = append(argv, word.String())
				word.Reset()
			}
			inWord = false
		case word.Len() == maxWord:
			return nil, wrong("Parameter too long!")
		default:
			word.WriteByte(r)
			inWord = true
		}
		if len(argv) > maxWords {
			return nil, wrong("too many arguments")
		}
	}
	if quoted {
		return nil, stricter("load-quotes", "unfinished quotes: expected another `\"'")
	}
	if inWord {
		argv = append(argv, word.String())
	}
	return argv, nil
}
