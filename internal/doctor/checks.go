package doctor

import "strings"

// Facts are what the checks judge.
type Facts struct {
	Host    *Host
	Plan    *Plan // what a configuration asks; the zero Plan: nothing in particular
	Answers *Answers
}

// check is one thing to look at.
type check struct {
	id, title, why string

	// look gives what was found: nothing, where there is nothing to look at.
	look func(*Facts) []Finding

	// machine says that it is of the whole machine, so that it need not be asked
	// again for a second namespace.
	machine bool
}

// hostChecks are the checks of a host, in the order in which one would mend.
func hostChecks() []check {
	return []check{
		checkCapability(), checkModule(), checkKernel(), checkTracking(),
		checkEvents(), checkEventMask(), checkAccounting(), checkTimestamp(),
		checkBuffer(), checkTable(), checkBuckets(), checkDrops(), checkListeners(),
		checkLabels(), checkZones(), checkOffload(), checkClock(),
	}
}

// planChecks are the checks of a configuration.
func planChecks() []check {
	return []check{
		checkConfiguration(), checkBrokers(), checkBestEffort(), checkDirectories(), checkCertificates(), checkPorts(), checkNode(),
	}
}

// HostFindings judges a host, without what a configuration names. With again it
// leaves out what is of the whole machine.
func (f *Facts) HostFindings(again bool) []Finding { return f.run(hostChecks(), again) }

// PlanFindings judges what a configuration names.
func (f *Facts) PlanFindings() []Finding { return f.run(planChecks(), false) }

func (f *Facts) run(checks []check, again bool) []Finding {
	var all []Finding
	for _, c := range checks {
		if again && c.machine {
			continue
		}
		for _, found := range c.look(f) {
			found.ID, found.Title = c.id, c.title
			if found.Why == "" {
				found.Why = c.why
			}
			if !c.machine && f.Host != nil && found.Subject == "" {
				found.Subject = f.Host.Name
			}
			all = append(all, found)
		}
	}
	return all
}

// IDs are the ids of all checks, in their order.
func IDs() []string {
	var ids []string
	for _, c := range append(hostChecks(), planChecks()...) {
		ids = append(ids, c.id)
	}
	return ids
}

// one is a list of one finding.
func one(s Severity, found, fix string) []Finding {
	return []Finding{{Severity: s, Found: found, Fix: fix}}
}

// good is a list of one finding with nothing to mend.
func good(found string) []Finding { return one(OK, found, "") }

// unknown is a list of one finding that says why there is none.
func unknown(err error) []Finding { return one(Unknown, "cannot be told: "+err.Error(), "") }

// inside makes a command work in the host's namespace.
func (h *Host) inside(command string) string {
	if h.Path == "" {
		return command
	}
	return "nsenter --net=" + quoteShell(h.Path) + " " + command
}

// quoteShell makes one word of a text.
func quoteShell(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:=,+@%", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
