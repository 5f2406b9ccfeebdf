package conntrack

import (
	"strings"
	"testing"

	"github.com/ctferry/ctferry/source/flow"
)

// commands are every command on every table, each with what it must have.
func commands() []string {
	const entry = ` -s 1.1.1.1 -d 2.2.2.2 -p 50`
	lines := []string{`-G` + entry, `-I -t 10` + entry, `-A -t 10` + entry, `-G expect` + entry, `-D expect` + entry, `-A expect`, `-U expect`,
		`-I expect -t 10 --tuple-src 1.1.1.1 --tuple-dst 2.2.2.2 --mask-src 255.0.0.0 --mask-dst 255.0.0.0` + entry, ``}
	for _, v := range strings.Fields(`-L -D -U -E -F -C -S -h -V`) {
		lines = append(lines, v)
		for _, t := range strings.Fields(`expect dying unconfirmed`) {
			lines = append(lines, v+" "+t)
		}
	}
	return lines
}

// sample is a good value of an option.
func sample(k key) string {
	switch k {
	case kSrc, kReplyDst, kTupleSrc:
		return "1.1.1.1"
	case kDst, kReplySrc, kTupleDst, kNATRange:
		return "2.2.2.2"
	case kMaskSrc, kMaskDst:
		return "255.255.0.0"
	case kProto:
		return "51"
	case kStatus:
		return "ASSURED"
	case kEvents, kState:
		return map[key]string{kEvents: "NEW", kState: "NONE"}[k]
	case kFamily:
		return "ipv4"
	case kOutput:
		return "id"
	case kLabel, kLabelAdd:
		return "one"
	case kRole:
		return "server"
	}
	return "1"
}

func withOption(line string, o option) string {
	line += " --" + o.names[0]
	if o.short != 0 {
		line = strings.TrimSuffix(line, "--"+o.names[0]) + "-" + string(o.short)
	}
	if o.arg == argRequired {
		line += " " + sample(o.key)
	}
	return line
}

// TestEveryOptionOfEveryCommand asks the tool about each pair of them.
func TestEveryOptionOfEveryCommand(t *testing.T) {
	o := newOracle(t)
	for _, command := range commands() {
		for _, opt := range options() {
			if opt.verb != VerbLoadFile {
				o.agree(t, withOption(command, opt))
			}
		}
	}
}

// TestEveryOptionOfEveryProtocol asks the tool about each option of each
// protocol on each command, and then with the options before it left standing,
// so that what is mandatory shows one by one.
func TestEveryOptionOfEveryProtocol(t *testing.T) {
	o := newOracle(t)
	for _, command := range commands() {
		command, _, _ = strings.Cut(command, " -p 50")
		if strings.HasSuffix(command, "dying") || strings.HasSuffix(command, "unconfirmed") || strings.HasPrefix(command, "-E") {
			continue
		}
		for _, name := range flow.ProtoNames() {
			num, _ := flow.ProtoNum(name)
			grown := command + " -p " + name
			for _, opt := range protocolOf(num).options {
				o.agree(t, withOption(command+" -p "+name, opt))
				grown = withOption(grown, opt)
				o.agree(t, grown)
			}
		}
	}
}

// agree compares, and allows whatever difference our refusal names.
func (o *oracle) agree(t *testing.T, text string) {
	t.Helper()
	argv, err := splitLine(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	l := corpusLine{text: text, argv: argv}
	_, l.difference = verdictOf(o.parser.Parse(argv))
	o.compare(t, l)
}
