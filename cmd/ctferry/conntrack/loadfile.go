package conntrack

import "strings"

// The limits of a line of a file for -R, which are the tool's.
const (
	maxWord  = 1023 // bytes
	maxWords = 254
)

// Lines reads the lines of a file for -R one after the other, in one memory: a
// table may have a million of them. With a Parser it is ready; one goroutine
// uses it.
type Lines struct {
	Parser Parser
	line   line
	argv   []string
}

// Parse reads one line: words parted by blanks and double quotes, perhaps with
// the program's name in front. An empty line and one that begins with # are no
// command, and the Command is nil. Only the commands that need no answer are
// allowed. The Command, and what its fields point at, is valid until the next
// call; its strings may be parts of the text.
func (p *Lines) Parse(text string) (*Command, error) {
	argv, err := splitLine(p.argv[:0], text)
	p.argv = argv
	if err != nil || len(argv) == 0 || strings.HasPrefix(argv[0], "#") {
		return nil, err
	}
	if argv[0] == "conntrack" {
		argv = argv[1:]
	}
	c, err := p.line.parse(&p.Parser, argv)
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

// splitLine parts a line into words, which it appends. Double quotes keep blanks
// in a word; there is no escape.
func splitLine(argv []string, text string) ([]string, error) {
	text = strings.TrimRight(text, "\r\n")
	for at := 0; ; {
		for at < len(text) && blank(text[at]) {
			at++
		}
		if at == len(text) {
			return argv, nil
		}
		word, end, err := nextWord(text, at)
		if err != nil {
			return argv, err
		}
		argv, at = append(argv, word), end
		if len(argv) > maxWords && at < len(text) {
			return argv, wrong("too many arguments")
		}
	}
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// nextWord gives the word that begins at a place, and where it ends. It is a
// part of the text unless it has quotes.
func nextWord(text string, from int) (word string, end int, err error) {
	for end = from; end < len(text) && !blank(text[end]); end++ {
		if text[end] == '"' {
			return quotedWord(text, from)
		}
	}
	if end-from > maxWord {
		return "", end, wrong("Parameter too long!")
	}
	return text[from:end], end, nil
}

// quotedWord is nextWord of a word with quotes.
func quotedWord(text string, from int) (word string, end int, err error) {
	var b []byte
	quoted := false
	for end = from; end < len(text) && (quoted || !blank(text[end])); end++ {
		switch {
		case text[end] == '"':
			quoted = !quoted
		case len(b) == maxWord:
			return "", end, wrong("Parameter too long!")
		default:
			b = append(b, text[end])
		}
	}
	if quoted {
		return "", end, stricter("load-quotes", "unfinished quotes: expected another `\"'")
	}
	return string(b), end, nil
}
