package encode_test

import (
	"math/bits"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ctferry/ctferry/encode"
	"github.com/ctferry/ctferry/source/flow"
)

// output is one way to ask conntrack(8) for its lines, and us.
type output struct {
	options string
	text    encode.Text
}

// outputs are conntrack's formats, alone and together.
func outputs() []output {
	return []output{
		{"", encode.Text{}},
		{"extended", encode.Text{Extended: true}},
		{"extended,id", encode.Text{Extended: true, ID: true}},
		{"timestamp", encode.Text{Timestamp: true}},
		{"ktimestamp", encode.Text{KTimestamp: true}},
		{"userspace", encode.Text{}},
		{"save", encode.Text{Save: true}},
		{"xml", encode.Text{XML: true}},
		{"extended,id,timestamp,ktimestamp", encode.Text{Extended: true, ID: true, Timestamp: true, KTimestamp: true}},
		{"xml,extended,id,timestamp,ktimestamp", encode.Text{XML: true, Extended: true, ID: true, Timestamp: true, KTimestamp: true}},
	}
}

var (
	stampPattern  = regexp.MustCompile(`^\[\d{8,}\.\d{1,6} *\]\t`)
	whenPattern   = regexp.MustCompile(`<when><hour>\d+</hour><min>\d+</min><sec>\d+</sec><wday>[1-7]</wday><day>\d+</day><month>\d+</month><year>\d{4}</year></when>`)
	namePattern   = regexp.MustCompile(` progname=.*$`)
	strayPattern  = regexp.MustCompile(`^(<.*) \[USERSPACE\].*$`)
	statePattern  = regexp.MustCompile(`protoname="(sctp|dccp)"(.*)<state>(\w+)</state>`)
	vtagPattern   = regexp.MustCompile(`(--(?:orig|reply)-vtag )(\d+)`)
	savedPattern  = regexp.MustCompile(`^(-[AUD].*)( -m \d+)`)
	flowPattern   = regexp.MustCompile(`src=\S+ dst=\S+ (?:sport=\S+ dport=\S+|srckey=\S+ dstkey=\S+|type=\d+ code=\d+ id=\d+)?`)
	xmlPattern    = regexp.MustCompile(`<src>[^<]+</src><dst>[^<]+</dst></layer3><layer4 [^>]+>(?:<s\w+>\w+</s\w+><d\w+>\w+</d\w+>)?`)
	expectPattern = regexp.MustCompile(`<layer3.*</layer4>`)
	savedFlow     = regexp.MustCompile(`-s \S+ -d \S+.* -p .*`)
)

// toolLine takes from a line of conntrack's what the tests do not compare
// (times, program names) and what [encode.TextDifferences] lists.
func toolLine(line string) string {
	line = ourLine(line)
	line = strayPattern.ReplaceAllString(line, "$1")
	line = vtagPattern.ReplaceAllStringFunc(line, func(s string) string {
		option, number, _ := strings.Cut(s, " ")
		v, _ := strconv.ParseUint(number, 10, 32)
		return option + " " + strconv.FormatUint(uint64(bits.ReverseBytes32(uint32(v))), 10)
	})
	if m := statePattern.FindStringSubmatchIndex(line); m != nil {
		name := flow.SCTPStateName
		if line[m[2]:m[3]] == "dccp" {
			name = flow.DCCPStateName
		}
		for n := range uint8(10) {
			if word := line[m[6]:m[7]]; flow.TCPStateName(n) == word {
				return line[:m[6]] + name(n) + line[m[7]:]
			}
		}
	}
	return line
}

// cut is the length at which conntrack cuts a line, see [encode.TextDifferences].
const cut = 1023

// agree compares a line of ours with conntrack's. Where conntrack cut its own,
// ours must begin with what is left.
func agree(ours, theirs string) bool {
	whole := len(strayPattern.ReplaceAllString(theirs, "$1")) != cut
	ours, theirs = ourLine(ours), toolLine(theirs)
	if whole {
		return ours == theirs
	}
	theirs, _, _ = strings.Cut(theirs, "<when>")
	return strings.HasPrefix(ours, theirs)
}

// ourLine takes the same from one of ours.
func ourLine(line string) string {
	line = stampPattern.ReplaceAllString(line, "[time]\t")
	line = whenPattern.ReplaceAllString(line, "<when/>")
	line = savedPattern.ReplaceAllString(line, "$1")
	return namePattern.ReplaceAllString(line, "")
}

// flowOf is what of a line names the flow.
func flowOf(line string) string {
	switch {
	case strings.Contains(line, "<expected>"):
		return expectPattern.FindString(line)
	case strings.HasPrefix(line, "<"):
		return xmlPattern.FindString(line)
	case strings.HasPrefix(line, "-"):
		s := savedFlow.FindString(line)
		s, _, _ = strings.Cut(s, " --reply-")
		s, _, _ = strings.Cut(s, " --state")
		return s
	}
	return flowPattern.FindString(line)
}

// byFlow puts the lines of a flow together, in their order.
func byFlow(lines []string) []string {
	out := slices.Clone(lines)
	slices.SortStableFunc(out, func(a, b string) int { return strings.Compare(flowOf(a), flowOf(b)) })
	return out
}

// rowsOnly takes XML's frame away.
func rowsOnly(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(s string) bool {
		return strings.HasPrefix(s, "<?xml") || strings.HasSuffix(s, "conntrack>") || s == "<expect>" || s == "</expect>"
	})
}
