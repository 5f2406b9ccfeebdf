package main

import (
	"fmt"
	"math/bits"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ctferry/ctferry/source/flow"
)

// What two tools cannot tell alike: ids, times, the portid, and their names.
var (
	bannerPattern  = regexp.MustCompile(`(?m)^\w+ v\S+ \([\w-]+\)`)
	stampPattern   = regexp.MustCompile(`^\[\d{8,}\.\d{1,6} *\]\t`)
	whenPattern    = regexp.MustCompile(`<when>.*</when>`)
	idPattern      = regexp.MustCompile(`(<id>|\bid=)\d{6,}`)
	clockPattern   = regexp.MustCompile(`\[(start|stop)=[^\]]*\]`)
	stampsPattern  = regexp.MustCompile(`<(start|stop)>\d+`)
	portidPattern  = regexp.MustCompile(` \[USERSPACE\] portid=\d+( progname=.*)?$`)
	timeoutPattern = regexp.MustCompile(`^((?:\[time\]\t)?(?: *\[\w+\] )?(?:(?:ipv[46] +\d+ )?\w+ +\d+ )?)(\d+)( |$)`)
	savedTimeout   = regexp.MustCompile(`^(-[AUD] -t )(\d+)`)
	xmlTimeout     = regexp.MustCompile(`(<timeout>)(\d+)`)
	xmlAge         = regexp.MustCompile(`(<deltatime>)(\d+)`)
	textAge        = regexp.MustCompile(`( delta-time=)(\d+)`)
)

// What encode.TextDifferences lists, by the name of the difference.
var (
	savedMark  = regexp.MustCompile(`^(-[AUD].*?)( -m \d+)`)            // save-mark
	strayPat   = regexp.MustCompile(`^(<.*) \[USERSPACE\].*$`)          // xml-userspace
	xmlState   = regexp.MustCompile(`protoname="sctp"(.*)<state>(\w+)`) // xml-state
	savedVTag  = regexp.MustCompile(`(--(?:orig|reply)-vtag )(\d+)`)    // save-vtag
	emptyLabel = regexp.MustCompile(` labels=?$|<labels></labels>`)     // labels-empty, xml-labels
)

// normal is a line without what may differ; numbers are what runs, in order.
func normal(line string, theirs bool) (rest string, numbers []int) {
	line = stampPattern.ReplaceAllString(line, "[time]\t")
	line = whenPattern.ReplaceAllString(line, "<when/>")
	line = idPattern.ReplaceAllString(line, "${1}N")
	line = clockPattern.ReplaceAllString(line, "[$1]")
	line = stampsPattern.ReplaceAllString(line, "<$1>N")
	if theirs {
		line = lessWrong(line)
	}
	line = portidPattern.ReplaceAllString(line, " [USERSPACE]")
	line = savedMark.ReplaceAllString(line, "$1")
	for _, p := range []*regexp.Regexp{timeoutPattern, savedTimeout, xmlTimeout, xmlAge, textAge} {
		if m := p.FindStringSubmatchIndex(line); m != nil {
			n, _ := strconv.Atoi(line[m[4]:m[5]])
			numbers = append(numbers, n)
			line = line[:m[4]] + "N" + line[m[5]:]
		}
	}
	return line, numbers
}

// lessWrong mends in a line of the oracle's what encode.TextDifferences lists.
func lessWrong(line string) string {
	line = strayPat.ReplaceAllString(line, "$1")
	line = emptyLabel.ReplaceAllString(line, "")
	line = savedVTag.ReplaceAllStringFunc(line, func(s string) string {
		option, number, _ := strings.Cut(s, " ")
		v, _ := strconv.ParseUint(number, 10, 32)
		return option + " " + strconv.FormatUint(uint64(bits.ReverseBytes32(uint32(v))), 10)
	})
	if m := xmlState.FindStringSubmatchIndex(line); m != nil {
		for n := range uint8(10) {
			if flow.TCPStateName(n) == line[m[4]:m[5]] {
				return line[:m[4]] + flow.SCTPStateName(n) + line[m[5]:]
			}
		}
	}
	return line
}

// lines are a text's lines, in an order that does not depend on what differs.
func normalLines(text string, theirs bool) (rest []string, numbers [][]int) {
	type line struct {
		rest    string
		numbers []int
	}
	var all []line
	for l := range strings.Lines(text) {
		r, n := normal(strings.TrimSuffix(l, "\n"), theirs)
		all = append(all, line{r, n})
	}
	slices.SortFunc(all, func(a, b line) int {
		if c := strings.Compare(a.rest, b.rest); c != 0 {
			return c
		}
		return slices.Compare(a.numbers, b.numbers)
	})
	for _, l := range all {
		rest, numbers = append(rest, l.rest), append(numbers, l.numbers)
	}
	return rest, numbers
}

// closely is how far timeouts and ages of the two may be apart, in seconds, where
// nothing took long.
const closely = 2

// differ says where two texts differ, "" if nowhere. Timeouts and ages may be apart
// seconds.
func differ(what, theirs, ours string, apart int) string {
	a, an := normalLines(theirs, true)
	b, bn := normalLines(ours, false)
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a) || i >= len(b) || a[i] != b[i]:
			return fmt.Sprintf("%s differs\n--- conntrack\n%s--- ours\n%s", what, theirs, ours)
		case !near(an[i], bn[i], apart):
			return fmt.Sprintf("%s: %v and %v in\n%s", what, an[i], bn[i], a[i])
		}
	}
	return ""
}

func near(a, b []int, apart int) bool {
	for i := range a {
		if a[i]-b[i] > apart || b[i]-a[i] > apart {
			return false
		}
	}
	return true
}

// frameless takes from XML what the oracle prints for -L and -E only
// (encode.TextDifferences: xml-frame).
func frameless(text string) string {
	var out strings.Builder
	for l := range strings.Lines(text) {
		if !strings.HasPrefix(l, "<?xml") && !strings.HasSuffix(l, "conntrack>\n") && l != "<expect>\n" && l != "</expect>\n" {
			out.WriteString(l)
		}
	}
	return out.String()
}

// compareOutcomes says where two outcomes differ, with timeouts and ages apart seconds
// at most.
func compareOutcomes(l *parityLine, theirs, ours outcome, apart int) string {
	banner := func(s string) string { return bannerPattern.ReplaceAllString(s, "BANNER") }
	if !slices.Contains(l.argv, "-L") {
		theirs.stdout, ours.stdout = frameless(theirs.stdout), frameless(ours.stdout)
		if slices.ContainsFunc(l.argv, func(w string) bool { return strings.Contains(w, "ktimestamp") }) { // ktimestamp-rows
			theirs.stdout, ours.stdout = clockless(theirs.stdout), clockless(ours.stdout)
		}
	}
	switch {
	case theirs.code != ours.code:
		return fmt.Sprintf("exit code %d, ours %d\n--- conntrack\n%s%s--- ours\n%s%s", theirs.code, ours.code, theirs.stderr, theirs.stdout, ours.stderr, ours.stdout)
	case banner(theirs.stderr) != banner(ours.stderr):
		return fmt.Sprintf("standard error differs\n--- conntrack\n%s--- ours\n%s", theirs.stderr, ours.stderr)
	}
	return differ("standard output", theirs.stdout, ours.stdout, apart)
}

var xmlClock = regexp.MustCompile(`<timestamp>.*</timestamp>`)

func clockless(text string) string {
	text = regexp.MustCompile(` \[(start|stop)=[^\]]*\]`).ReplaceAllString(text, "")
	return xmlClock.ReplaceAllString(text, "")
}
