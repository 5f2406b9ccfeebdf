package conntrack

import (
	"reflect"
	"testing"
)

func checkRoundTrip(t testing.TB, p *Parser, c *Command) {
	t.Helper()
	args := c.Args()
	again, err := p.Parse(args)
	if err != nil {
		t.Errorf("%+v\nprints %q\nwhich is refused: %v", c, args, err)
		return
	}
	if !reflect.DeepEqual(c, again) {
		t.Errorf("prints %q\n was %+v\nread %+v", args, c, again)
	}
}

func FuzzParse(f *testing.F) {
	for _, l := range corpus(f) {
		f.Add(l.text)
	}
	p := Parser{Extra: []Extra{{Name: "node", Value: true}, {Name: "fleet"}, {Name: "netns", Value: true}},
		Protocol: func(s string) (uint8, bool) { return 50, s == "esp" }}
	f.Fuzz(func(t *testing.T, text string) {
		argv, err := splitLine(text)
		if err != nil {
			return
		}
		if c, err := p.Parse(argv); err == nil {
			checkRoundTrip(t, &p, c)
		}
		_, _ = p.ParseLine(text)
	})
}
