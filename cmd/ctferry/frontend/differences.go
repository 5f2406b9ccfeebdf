package frontend

// Difference is a place where this program means not to do what conntrack 1.4.7
// does with a command line that both understand.
type Difference struct {
	ID      string
	Tool    string // what conntrack 1.4.7 does
	Ours    string
	Why     string
	Example string // a command line that shows it
}

// Differences are all of them that are no matter of the grammar (see
// conntrack.Differences) nor of a row's text (see encode.TextDifferences), in
// the order of their IDs. The tests against the tool accept nothing else.
func Differences() []Difference {
	return []Difference{
		{"create-reply", "with both directions on a line, takes the ports of the original one for both, makes an entry of protocol 0 of a reply direction with the ports of the original one, and refuses half a direction",
			"takes what is given, and what is not given of a direction from the other one, turned round", whySilent,
			"-I -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 --reply-port-src 9 --reply-port-dst 8 -t 10"},
		{"create-zones", "leaves it to the kernel to refuse an entry with more than one zone (invalid parameters)", "exit code 2 and why", "the message is of no use otherwise",
			"-I -p 50 -s 1.1.1.1 -d 2.2.2.2 -t 10 --orig-zone 1 --reply-zone 2"},
		{"delete-labels", "prints no labels with -D -o labels", "prints them", "they were asked for", "-D -o labels"},
		{"delete-timeout", "deletes everything if -t is the only thing to match", "deletes what has that many seconds left", whySilent, "-D -t 5"},
		{"delete-unreplied", "takes no notice of -u UNREPLIED with -D", "deletes what has seen no reply", whySilent, "-D -u UNREPLIED"},
		{"events-lost", "ends with exit code 0 though events were lost", "ends with exit code 1 and tells how many", "what is printed is not all", "-E"},
		{"expect-create", "writes the expected port where the protocol belongs, so that nothing is ever expected", "writes the protocol", "conntrack-tools has mended it since", "-I expect ..."},
		{"expect-delete", "says that 0 expectations have been shown, and ends with exit code 1, when it has deleted one", "says that 1 has been deleted, and ends with 0",
			"a success is none to a script", "-D expect ..."},
		{"expect-family", "lists expectations of IPv4 only if no family is given", "lists both", "it lists both of all other entries", "-L expect"},
		{"flush-family", "empties the whole table with -F -f", "removes the entries of that family", whySilent, "-F -f ipv6"},
		{"get-reply", "cannot find an entry by its reply direction (invalid parameters)", "finds it", "its manual says that it can", "-G -p udp -r 2.2.2.2 -q 1.1.1.1 --reply-port-src 2 --reply-port-dst 1"},
		{"gre-keys", "takes no notice of keys that are to be matched", "matches them", whySilent, "-D -p gre --srckey 1"},
		{"label-del", "may clear labels that --label-del does not name", "clears those that it names", "conntrack-tools has mended it since", "-U -f ipv4 --label-del last"},
		{"label-file", "complains of a connlabel.conf that is not there before it does anything with labels", "does not", "a label that is not known is told anyway", "-L -o labels"},
		{"load-goes-on", "stops at the first command of a file that fails", "carries out the others, tells each that failed with its line, and ends with exit code 1",
			"a saved table with one entry that exists already would be restored by half", "-R FILE"},
		{"load-place", "does not say in which line of a file a command is that it refuses", "says file and line", "files have many lines", "-R FILE"},
		{"load-update", "takes the mark and labels of a file's last command for every -U in it", "takes the command's own", whySilent, "-R FILE with -U before other commands"},
		{"mark-then-status", "takes the status for the mark where -u stands behind -m", "takes the mark", "conntrack-tools has mended it since", "-L -m 1 -u ASSURED"},
		{"nat-icmp", "takes real ICMP entries for translated ones", "shows them only if they are", "a port is compared with what is none", "-L -n"},
		{"nat-ipv6", "takes no notice of an IPv6 address behind -n, -g and -j that is to be matched", "matches it", whySilent, "-D -n 2001:db8::1"},
		{"rights", "prints with -C and -S what /proc tells anybody, and then says that it has no right to ask", "says that", "half an answer before a refusal is neither", "-C"},
		{"secmark", "takes no notice of -c", "exit code 2", "the kernel tells no entry's mark, only its context; " + whySilent, "-L -c 5"},
		{"status-unset", "cannot list with -u UNSET (invalid parameters), and deletes everything", "takes the entries that have none of ASSURED, SEEN_REPLY, FIXED_TIMEOUT and EXPECTED", whySilent, "-D -u UNSET"},
		{"update-error", "counts entries that could not be updated among those that were, and ends with exit code 0", "tells each, and ends with exit code 1", "a failure is none to a script", "-U -u EXPECTED"},
		{"update-family", "cannot update without an address or -f (operation not supported)", "updates entries of both families", "conntrack-tools has mended it since", "-U -p udp -m 1"},
		{"update-nat", "cannot update entries found by an address of -n or -g, because it sends that address too", "updates them", "they are what was asked for", "-U -f ipv4 -n 1.1.1.1 -m 1"},
		{"update-prints", "prints some of the entries that it has updated", "prints every one", "its count says that they were updated", "-U -f ipv4 -m 1"},
		{"update-unchanged", "counts entries whose labels stay as they are", "does not", "entries that stay as they are do not count with anything else", "-U -f ipv4 --label-del one"},
		{"update-zone", "cannot update entries of a zone (no such file or directory)", "updates them", "they are what was asked for", "-U -s 1.1.1.1 -m 1"},
	}
}

const whySilent = "an option that is typed and silently not obeyed shows, changes or deletes the wrong entries"
