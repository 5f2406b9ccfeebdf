package conntrack

import (
	"reflect"
	"testing"
)

// TestForms holds that the forms of one command line mean the same.
func TestForms(t *testing.T) {
	for _, tt := range []struct{ want, forms string }{
		{`-L expect -o id`, `--dump expect -o id;--dum expect --output=id;-o id -L expect;-oid --dump=expect;-Lexpect --out id;-o id -L exp;-L ex -o i`},
		{`-L -f ipv4 -z`, `-z -f ipv4 -L;-zf ipv4 -L;-zfipv4 -L;-L --family=ipv4 --zero;-zL --fam ipv4;-L -f ipv4 --family ipv4 -zz;-L -z -f ipv4 --`},
		{`-L -s 1.1.1.1`, `-L --src 1.1.1.1;-L --orig-src=1.1.1.1;--orig-s 1.1.1.1 -L;-L -s 2.2.2.2 --src 1.1.1.1`},
		{`-L -p 6 --sport 80`, `-L -p tcp --sport 80;-L -pTCP --orig-port-src=80;--proto tcp --sp 80 -L;-L --protonum 0x6 --sport 080;-L -p udp -p tcp --sport 80`},
		{`-L -n 1.1.1.1:80`, `-L -n1.1.1.1:80;-L --src-nat=1.1.1.1:80;--src-nat 1.1.1.1:80 --dump;-L -n -n 1.1.1.1:80;-L -n [1.1.1.1]:80`},
		{`-L -o xml,id`, `-L -o xml -o id;-L -o id,xml;-L -o X,I`},
		{`-L -u SEEN_REPLY,ASSURED`, `-L -u ASSURED -u SEEN_REPLY;-L --status assured,see`},
		{`-E -e NEW,UPDATES,DESTROY`, `-E -e ALL;--event --event-mask=new,up,D;-E -e NEW -e A`},
		{`-L -s 1.1.1.0/24`, `-L -s 1.1.1.77/24;-L -s 1.1.1.5 --mask-src 255.255.255.0;-L --mask-src 255.255.255.0 -s 1.1.1.5;-L -s 1.1.1.5/8 --mask-src 255.255.255.0;-L --mask-src 255.0.0.0 -s 1.1.1.5/24`},
		{`-L -s 1.1.1.1`, `-L -s 1.1.1.1/32;-L -s 1.1.1.0/24 -s 1.1.1.1;-L -s 1.1.1.1 --mask-src 255.255.255.255`},
		{`-L -m 16`, `-L -m 0x10;-L -m 020;-L -m 0X10/0xffffffff`},
		{`-U --label-del`, `-U --label-del --label-del one;-U --label-d`},
		{`-U --label-add one,two`, `-U --label-add one --label-add two`},
		{`-R f`, `-Rf;--load-file=f;--load-file f;--lo f`},
		{`-L -p 132 --state SHUTDOWN_SENT`, `-L -p sctp --state SHUTDOWN_SENT`},
		{``, `--`},
	} {
		want := parseText(t, tt.want)
		for _, form := range splitForms(tt.forms) {
			if got := parseText(t, form); !reflect.DeepEqual(got, want) {
				t.Errorf("%s\n got %+v\nwant %+v", form, got, want)
			}
		}
	}
}

func splitForms(s string) []string {
	var forms []string
	for start, i := 0, 0; i <= len(s); i++ {
		if i == len(s) || s[i] == ';' {
			forms = append(forms, s[start:i])
			start = i + 1
		}
	}
	return forms
}

func parseText(t *testing.T, text string) *Command {
	t.Helper()
	argv, err := splitLine(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(argv)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return c
}

func TestExtra(t *testing.T) {
	p := Parser{Extra: []Extra{{"node", true}, {"fleet", false}, {"netns", true}, {"nats", true}}}
	for text, want := range map[string][]ExtraValue{
		`-L --node edge-1 -z`:               {{"node", "edge-1"}},
		`--node=edge-1 -L`:                  {{"node", "edge-1"}},
		`-L --fleet --netns a --netns b`:    {{"fleet", ""}, {"netns", "a"}, {"netns", "b"}},
		`-L --flee`:                         {{"fleet", ""}},
		`-L --no x`:                         {{"node", "x"}},
		`--node a -R f`:                     {{"node", "a"}},
		`-R f --node a`:                     {{"node", "a"}},
		`--node -L -C`:                      {{"node", "-L"}},
		`-L --node a --fleet expect --node`: nil, // a stray word, and no value
		`-L --node=`:                        nil,
		`-L --fleet=1`:                      nil,
		`-L --ne x --na y --n`:              nil, // --na is conntrack's --nat-range
		`--fl --node a`:                     {{"node", "a"}},
	} {
		argv, _ := splitLine(nil, text)
		c, err := p.Parse(argv)
		switch {
		case err == nil && !reflect.DeepEqual(c.Extra, want):
			t.Errorf("%s: got %v, want %v", text, c.Extra, want)
		case err != nil && want != nil:
			t.Errorf("%s: %v", text, err)
		case err == nil:
			checkRoundTrip(t, &p, c)
		}
	}
	if c := parseWith(t, &p, "--fl", "--node", "a"); c.Verb != VerbFlush {
		t.Errorf("--fl with the option --fleet beside it: got %v, want a flush", c.Verb)
	}
	if _, err := Parse([]string{"-L", "--node", "a"}); err == nil {
		t.Error("an extra option that nobody declared was taken")
	}
}

func parseWith(t *testing.T, p *Parser, argv ...string) *Command {
	t.Helper()
	c, err := p.Parse(argv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
