package doctor

import "fmt"

// checkLabels asks whether labels that a configuration wants can be there.
func checkLabels() check {
	return check{
		id: "labels", title: "connection labels",
		why: "a flow has room for labels only if some rule set or compared them when it began; names come from " + connlabelConf,
		look: func(f *Facts) []Finding {
			h, p := f.Host, f.Plan
			var all []Finding
			switch {
			case !p.Labels:
				return nil
			case h.RulesErr != nil:
				all = unknown(h.RulesErr)
			case h.Rules.Labels == 0:
				all = one(Warn, "are asked for, and no rule gives any", h.inside(
					"nft 'table inet ctferry { chain label { type filter hook output priority -150; policy accept; ct state new ct label set 1; }; }'"))
			default:
				all = good(fmt.Sprintf("%d %s", h.Rules.Labels, plural("rule", h.Rules.Labels)))
			}
			if p.LabelNames && !h.LabelFile {
				all = append(all, Finding{
					Severity: Warn, Found: "are asked for by name, and " + connlabelConf + " is not there",
					Fix: "mkdir -p /etc/xtables && echo '1 my-label' >> " + connlabelConf,
				})
			}
			return all
		},
	}
}

// checkZones asks whether the zones that a filter names can be there.
func checkZones() check {
	return check{
		id: "zones", title: "zones that a filter names",
		why: "a filter that names a zone which no connection is in passes nothing",
		look: func(f *Facts) []Finding {
			h := f.Host
			var all []Finding
			for _, zone := range f.Plan.Zones {
				switch {
				case h.ZonesSeen[zone]:
					all = append(all, good(fmt.Sprintf("zone %d has entries", zone))...)
				case h.RulesErr != nil:
					all = append(all, unknown(h.RulesErr)...)
				case h.Rules.Zones == 0:
					all = append(all, one(Warn, fmt.Sprintf("zone %d is asked for, no rule sets a zone, and no entry is in it", zone), h.inside(fmt.Sprintf(
						"nft 'table inet ctferry { chain zone { type filter hook output priority -300; policy accept; ct zone set %d; }; }'", zone)))...)
				default:
					all = append(all, good(fmt.Sprintf("zone %d has no entry now, and %d %s zones", zone, h.Rules.Zones,
						map[bool]string{true: "rule sets", false: "rules set"}[h.Rules.Zones == 1]))...)
				}
			}
			return all
		},
	}
}

// checkOffload asks whether flows leave the kernel's slow path.
func checkOffload() check {
	return check{
		id: "offload", title: "flows handed to a flowtable or to hardware",
		why: "while a flow is offloaded its counters may stand still and its state changes raise no event; its end may come late",
		look: func(f *Facts) []Finding {
			h := f.Host
			fix := h.inside("nft list flowtables")
			switch {
			case h.OffloadedErr == nil && h.Offloaded:
				return one(Warn, "entries of the table are offloaded", fix)
			case h.RulesErr == nil && h.Rules.Offload > 0:
				return one(Warn, fmt.Sprintf("%d %s flows to a flowtable", h.Rules.Offload,
					map[bool]string{true: "rule hands", false: "rules hand"}[h.Rules.Offload == 1]), fix)
			case h.RulesErr != nil:
				return unknown(h.RulesErr)
			case h.OffloadedErr != nil:
				return good("no rule does so; entries: " + h.OffloadedErr.Error())
			}
			return good("none")
		},
	}
}
