package testbroker

import "testing"

func TestPerfResult(t *testing.T) {
	const all = "500 records sent, 14071.8 records/sec (10.52 MB/sec), 2687.68 ms avg latency\n"
	const steady = "400 steady state records sent, 17648.356497 records/sec (13.20 MB/sec), 1993.08 ms avg latency\n"
	tests := []struct {
		name, out string
		load      Load
		want      float64
	}{
		{"warm-up", "7 records sent, 1.0 records/sec\n" + all + steady, Load{Records: 500, Warmup: 100}, 17648.356497},
		{"no warm-up", all, Load{Records: 500}, 14071.8},
		{"some were refused", "499 records sent, 14071.8 records/sec\n", Load{Records: 500}, 0},
		{"progress is no summary", "400 records sent, 3.0 records/sec\n" + all, Load{Records: 500, Warmup: 100}, 0},
		{"nothing", "", Load{Records: 1}, 0},
	}
	for _, tt := range tests {
		got, err := perfResult(tt.out, tt.load)
		if got != tt.want || (err == nil) != (tt.want > 0) {
			t.Errorf("%s: %v, %v; expected %v", tt.name, got, err, tt.want)
		}
	}
}

// TestPerfRun sends a few records through the real tool.
func TestPerfRun(t *testing.T) {
	perf := NeedPerfTest(t)
	k := broker.Get(t)
	if err := k.CreateTopic(t.Context(), "perf", 2, nil); err != nil {
		t.Fatal(err)
	}
	rate, err := perf.Run(t.Context(), Load{
		Brokers: k.Brokers(), Topic: "perf", Payload: "assets/pom.xml", Records: 300, Warmup: 100, Config: map[string]string{"acks": "all"},
	})
	if err != nil || rate <= 0 {
		t.Fatal(rate, err)
	}
	if n, err := k.Count(t.Context(), "perf"); err != nil || n != 300 {
		t.Errorf("the topic holds %d (%v), expected 300", n, err)
	}
}
