package main

import (
	"log/slog"

	"github.com/ctferry/ctferry/cmd/ctferry/embedded"
	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/sinks"
)

// newServer makes the server inside the process, nil if there is to be none.
func newServer(cfg *configs.Config, log *slog.Logger) (*embedded.Server, error) {
	if !cfg.NATSServer.Enabled {
		return nil, nil
	}
	return embedded.New(cfg.NATSServer, cfg.Node, control.Subjects{Prefix: cfg.Control.Prefix, Site: cfg.Control.Site}, log)
}

// joined connects a sink that wants it to the server inside the process.
func (s *service) joined(c sinks.Config) sinks.Config {
	o, ok := c.Options.(*sinks.NATSOptions)
	if !ok || !o.Embedded {
		return c
	}
	own := *o
	own.InProcess, own.NkeyFile = s.server.InProcess(), s.server.Connection().NkeyFile
	c.Options = &own
	return c
}
