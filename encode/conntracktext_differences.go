package encode

// TextDifference is a place where [Text] does not print what conntrack(8)
// 1.4.7 prints, on purpose.
type TextDifference struct {
	Name   string // short, unique
	Output string // the words of -o that it concerns
	Tool   string // what conntrack prints
	Ours   string
	Why    string
}

// TextDifferences lists every place where [Text] departs from conntrack(8) 1.4.7.
func TextDifferences() []TextDifference {
	return []TextDifference{
		{"xml-userspace", "xml", `text " [USERSPACE] portid=N" behind an event's </flow>`, "nothing",
			"stray text breaks readers of XML; conntrack 1.4.9 leaves it out too"},
		{"xml-state", "xml", "an SCTP or DCCP state by the number's word among TCP's states", "the protocol's own word",
			"SCTP's ESTABLISHED is not TCP's FIN_WAIT"},
		{"xml-escape", "xml", "names of helpers, labels and contexts as they are", "names escaped", "a < in a name breaks the document"},
		{"xml-labels", "xml", "<labels></labels> where no label has a name", "nothing", "the event says nothing of labels without a name"},
		{"xml-frame", "xml", "-G prints a header and no footer, -U and -D neither", "the caller prints both",
			"a document without its root cannot be read"},
		{"labels-empty", "labels", `the word "labels" where no label has a name`, "nothing", "it looks like a flag and says nothing"},
		{"save-mark", "save", "no mark", "-m N, unless a row's mark is 0", "a table that is saved and loaded would lose its marks"},
		{"save-vtag", "save", "SCTP's verification tags with their bytes turned round", "the tags as they were on the wire",
			"on a little-endian host the option would set another tag"},
		{"save-state", "save", "(null) or the end of the program for a state that it has no word for", "the word, or no --state",
			"no option could say it"},
		{"save-role", "save", "for a DCCP role that it does not know the word of a state", "no --role", "no option could say it"},
		{"timestamp-digits", "timestamp", "of expectations: microseconds below 100000 without zeros in front and with blanks behind", "six digits",
			"0.078965 s would be read as 0.78965 s"},
		{"timestamp-kernel", "timestamp", "when the line was printed", "when it happened, if the kernel told that", "as conntrack 1.4.9 does"},
		{"ktimestamp-rows", "ktimestamp", "no times in the rows of -U and -D", "the times", "they were asked for, and -L and -G print them"},
		{"long-line", "every", "no more than 1023 bytes of a line", "the whole line", "XML of an IPv6 flow with its times is longer"},
		{"clock-back", "every", "delta-time near 2^64 for a flow that stopped before it started", "no delta-time",
			"the clock was set back; nothing is known"},
		{"control", "every", "a control character in a name as it is", "a question mark",
			"a name must not look like a line of its own or speak to a terminal"},
		{"expect-blank", "every", "a blank at the end of an expectation whose flags have no name", "no blank", "it says nothing"},
	}
}
