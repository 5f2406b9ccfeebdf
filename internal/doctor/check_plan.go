package doctor

// checkConfiguration passes on what keeps the service from starting and no other
// check looks at, and what ctferry check warns of.
func checkConfiguration() check {
	return check{
		id: "configuration", title: "the configuration itself", machine: true,
		why: "it is allowed, and unwise",
		look: func(f *Facts) []Finding {
			var all []Finding
			for _, w := range f.Plan.Faults {
				all = append(all, Finding{Severity: Fail, Found: w, Why: "it keeps ctferry from starting"})
			}
			for _, w := range f.Plan.Warnings {
				all = append(all, one(Warn, w, "")...)
			}
			if len(all) == 0 {
				return good("no warning")
			}
			return all
		},
	}
}

// checkBrokers judges what the brokers answered.
func checkBrokers() check {
	return check{
		id: "broker", title: "where records go", machine: true,
		why:  "what cannot be delivered waits in the sink's memory or in the spool, and is dropped when that is full",
		look: func(f *Facts) []Finding { return f.Answers.brokers },
	}
}

// checkBestEffort names the sinks that nobody acknowledges.
func checkBestEffort() check {
	return check{
		id: "best_effort", title: "delivery without acknowledgement", machine: true,
		why: "what the server has taken counts as delivered, whether or not anybody reads it",
		look: func(f *Facts) []Finding {
			var all []Finding
			for _, b := range f.Plan.Brokers {
				if b.BestEffort != "" {
					all = append(all, Finding{Severity: Warn, Subject: b.Key, Found: "best effort: " + b.BestEffort, Fix: b.Remedy})
				}
			}
			return all
		},
	}
}
