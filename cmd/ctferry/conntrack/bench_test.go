package conntrack

import "testing"

// BenchmarkLines reads a line as `-o save` writes it: -R reads one for each
// entry of a table.
func BenchmarkLines(b *testing.B) {
	const line = "-A -t 3000 -u SEEN_REPLY,ASSURED -s 10.0.0.1 -d 192.0.2.1 -r 192.0.2.1 -q 10.0.0.1 -p tcp" +
		" --sport 1024 --dport 443 --reply-port-src 443 --reply-port-dst 1024 --state ESTABLISHED"
	var p Lines
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Parse(line); err != nil {
			b.Fatal(err)
		}
	}
}
