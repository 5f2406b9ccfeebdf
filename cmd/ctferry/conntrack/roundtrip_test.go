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

// TestRoundTrip holds forms that the corpus cannot have.
func TestRoundTrip(t *testing.T) {
	p := Parser{Extra: []Extra{{Name: "node", Value: true}}}
	for _, argv := range [][]string{
		{"-U", "--label-del=-x,y"}, {"-U", "--label-del"}, {"-U", "--label-add", "-x", "-l", "--"}, {"-R", ""}, {"-R", "-"},
		{"--node", "=x"}, {"-L", "--node", "-L", "-s", "::ffff:1.2.3.4/100"}, {"-L", "-n", "[::ffff:1.2.3.4]:5"},
		{"-L", "-m", "0/0"}, {"-L", "-m", "1/4294967295"}, {"-L", "-s", "1.2.3.4/0"}, {"-L", "-s", "1::", "--mask-src", "0::1"},
		{"-L", "-p", "255"}, {"-L", "-p", "tcp", "--state", "LISTEN"}, {"-L", "-o", "save"}, {"-L", "-u", "UNREPLIED"},
	} {
		c, err := p.Parse(argv)
		if err != nil {
			t.Errorf("%q: %v", argv, err)
			continue
		}
		checkRoundTrip(t, &p, c)
	}
}

func FuzzParse(f *testing.F) {
	for _, l := range corpus(f) {
		f.Add(l.text)
	}
	p := Parser{Extra: []Extra{{Name: "node", Value: true}, {Name: "fleet"}, {Name: "netns", Value: true}},
		Protocol: func(s string) (uint8, bool) { return 50, s == "esp" }}
	f.Fuzz(func(t *testing.T, text string) {
		argv, err := splitLine(nil, text)
		if err != nil {
			return
		}
		if c, err := p.Parse(argv); err == nil {
			checkRoundTrip(t, &p, c)
		}
		_, _ = (&Lines{Parser: p}).Parse(text)
	})
}
