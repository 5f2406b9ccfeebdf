package conntrack

import (
	"strconv"
	"strings"
)

// ProtocolNames reads the text of protocols(5): names and aliases with their
// numbers. Lines that it does not understand, it leaves out.
func ProtocolNames(text string) map[string]uint8 {
	names := map[string]uint8{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, err := strconv.ParseUint(f[1], 10, 8)
		if err != nil {
			continue
		}
		for _, name := range append(f[:1:1], f[2:]...) {
			if _, taken := names[name]; !taken { // the first of a name counts, as in getprotobyname(3)
				names[name] = uint8(n)
			}
		}
	}
	return names
}

// LabelNames reads the text of connlabel.conf: the name of each of the 128
// bits of CTA_LABELS. Lines that it does not understand, it leaves out.
func LabelNames(text string) map[string]uint8 {
	names := map[string]uint8{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || strings.HasPrefix(f[0], "#") {
			continue
		}
		n, err := strconv.ParseUint(f[0], 0, 7)
		if err != nil {
			continue
		}
		if _, taken := names[f[1]]; !taken {
			names[f[1]] = uint8(n)
		}
	}
	return names
}
