package conntrack

// Difference is one place where this program means not to do what conntrack
// 1.4.7 does with the same command line.
type Difference struct {
	ID      string // for tests, documents and UsageError
	Tool    string // what conntrack 1.4.7 does
	Ours    string // what this program does
	Why     string
	Example string // a command line that shows it
}

const (
	whySilent = "an option that is typed and silently not obeyed shows, changes or deletes the wrong entries"
	whyCrash  = "a crash tells nobody what was wrong"
)

// Differences are all of them, in the order of their IDs. The documents are
// made from this list, and the tests against the tool accept nothing else.
func Differences() []Difference {
	return []Difference{
		{"addresses", "reads IPv4 addresses as inet_aton does: 1.1.1 is 1.1.0.1, 010 is 8, text after a blank is ignored",
			"four decimal numbers, or exit code 2", "the address meant is hardly ever the one that is used", "-L -s 1.1.1"},
		{"attached", "throws away what is written in the same word as -L, -n and all other options whose value is optional",
			"obeys a table's whole name (--dump=expect) or an address (-n1.2.3.4) there, and refuses anything else with exit code 2",
			whySilent + ": -Dp tcp deletes everything", "-Lo extended"},
		{"bundle-word", "names the word before the wrong one when an unknown short option is bundled with others",
			"names the word that has it", "the message is of no use otherwise", "-L -Zz"},
		{"cidr-sticky", "keeps the prefix length of an earlier -s or -d for a later one without",
			"the later address replaces address and length", "the last option wins everywhere else", "-L -s 1.1.1.0/24 -s 1.1.1.1"},
		{"dying-masks", "takes a mask without its address in the tables dying and unconfirmed", "exit code 2, as in the table conntrack", whySilent, "-L dying --mask-src 255.0.0.0"},
		{"dying-zero", "takes -z for the tables dying and unconfirmed, and zeroes nothing", "exit code 2", whySilent, "-L dying -z"},
		{"empty-words", "takes an empty word after a command for the table expect, and an empty role of DCCP for client", "exit code 2", "an unset variable of a script is no table", "-L \"\""},
		{"expect-cidr", "takes the prefix length of a master's address for the mask of the expectation", "exit code 2", "the master is one flow", "-I expect -s 1.1.1.1/24 -d 2.2.2.2/24 -p 50 -t 10 --tuple-src 1.1.1.1 --tuple-dst 2.2.2.2"},
		{"family", "takes any word that begins with ipv4 or ipv6 for -f", "ipv4 or ipv6, or exit code 2", "a slip of the finger is not a family", "-L -f ipv4x"},
		{"icmp-order", "fails with \"invalid parameters\" on a new ICMP entry whose --icmp-type stands before its -s", "options stand in any order", "nothing is wrong with that line", "-I -p icmp --icmp-type 8 --icmp-code 0 -t 10 -s 1.1.1.1 -d 2.2.2.2"},
		{"id-long", "crashes on --id (-i works)", "--id is -i", whyCrash, "-D --id 5"},
		{"json", "knows no -o json", "-o json writes records of schema ctferry.v1; not together with xml or save", "it is an addition", "-L -o json"},
		{"load-expect", "refuses -I expect in a file for -R under the name of -C expect", "names the command that stands there", "the message is of no use otherwise", "-R FILE with the line -I expect ..."},
		{"load-file", "knows -R only as the very first word with the file as the next one, ignores every word after that, and says that the option is unknown otherwise",
			"-R is an option like others (--load-file=FILE, -RFILE), still the first, and stands alone but for this program's own options", whySilent, "-R /dev/null -L"},
		{"load-quotes", "takes a line's end into a word whose quotes never close", "exit code 2", "the word is hardly ever the one that was meant", "-R FILE with the line -D -s \"1.1.1.1"},
		{"mark-mask", "ignores the mask of -m with -I and -A", "exit code 2", whySilent, "-I -s 1.1.1.1 -d 2.2.2.2 -p 50 -t 10 -m 1/2"},
		{"nat-create", "creates an entry without translation for -n or -g without an address", "exit code 2", whySilent, "-I -s 1.1.1.1 -d 2.2.2.2 -p 50 -t 10 -n"},
		{"nat-range", "prints a warning for -a and ignores it", "exit code 2", whySilent, "-L -a 1.1.1.1"},
		{"no-command", "takes --reply-zone, and nothing else, without a command", "exit code 2", "every other option without a command is refused", "--reply-zone 1"},
		{"numbers", "reads what is no number as 0, stops at the first wrong sign, and cuts what is too large: --sport http is port 0, --sport 65537 is port 1, -t abc ends the entry at once",
			"exit code 2, with what was expected", whySilent, "-L -p tcp --sport http"},
		{"prefix-lengths", "reads an empty prefix length as 0, which matches everything, and takes signs and blanks", "a decimal number, or exit code 2", whySilent, "-L -s 1.1.1.0/"},
		{"protocol-alias", "gives a protocol that it knows no options if -p names it as protocols(5) does", "the options go with the number", "-p ipv6-icmp and -p 58 are one protocol", "-L -p ipv6-icmp --icmpv6-type 128"},
		{"protocol-twice", "keeps the options of a protocol when a later -p names another one, and may print `--(null)'", "exit code 2 if an option of the first one was given; otherwise the later -p alone counts",
			"a port of one protocol is none of another", "-L -p tcp --sport 1 -p icmp"},
		{"sctp-state", "crashes on an SCTP state that it does not know, such as HEARTBEAT_SENT", "knows the kernel's states, and refuses others with exit code 2", whyCrash, "-L -p sctp --state FOO"},
		{"status-ambiguous", "takes the first status of its list for an abbreviation of several: -u S is SRC_NAT, -u UN is UNSET", "exit code 2", "a guess may delete the wrong entries", "-L -u S"},
		{"status-contradiction", "takes UNSET together with other words, and UNREPLIED together with SEEN_REPLY", "exit code 2", "one of the words is not obeyed", "-L -u ASSURED,UNSET"},
		{"status-nat", "prints a warning for -u SRC_NAT or DST_NAT and goes on with no status at all", "exit code 2", "-D -u SRC_NAT deletes what has no NAT too", "-D -u SRC_NAT"},
		{"stray-words", "ignores words that belong to no option", "exit code 2", whySilent + ": a forgotten -d deletes too much", "-D -s 1.1.1.1 2.2.2.2"},
		{"zero-nat", "takes -z with -n, -g and -j, and zeroes the entries that are not shown too", "exit code 2, as with every other filter", "counters are lost that nobody saw", "-L -z -n"},
	}
}
