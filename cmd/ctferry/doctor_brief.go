package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/internal/doctor"
)

// briefPatience bounds what the service does before it starts.
const briefPatience = 200 * time.Millisecond

// warnOfHost logs in a line each what ctferry doctor finds wrong with the host
// itself, without what takes time. It never keeps the service from starting.
func warnOfHost(ctx context.Context, cfg *configs.Config, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, briefPatience)
	defer cancel()
	host, err := doctor.Look(ctx, doctor.Wants{Quick: true})
	if err != nil {
		log.Debug("host not looked at", "err", err)
		return
	}
	facts := &doctor.Facts{Host: host, Plan: planOf(cfg, "")}
	for _, f := range facts.HostFindings(false) {
		switch f.Severity {
		case doctor.Warn, doctor.Fail:
			log.Warn("host check", "check", f.ID, "severity", f.Severity.String(), "found", f.Found, "subject", f.Subject, "fix", f.Fix)
		case doctor.OK, doctor.Unknown:
		}
	}
}
