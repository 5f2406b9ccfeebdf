package main

import (
	"context"
	"reflect"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/internal/admin"
)

// openAdmin binds the admin port, if there is to be one.
func (s *service) openAdmin(cfg *configs.Config) error {
	if !cfg.Admin.On() {
		return nil
	}
	g := &gauges{s: s}
	var err error
	s.admin, err = admin.Listen(cfg.Admin, g.snapshot, s.log)
	return err
}

// runAdmin answers on the admin port; the function that it gives ends that. The
// store must still be open then.
func (s *service) runAdmin() (end func()) {
	if s.admin == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.admin.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			s.log.Warn("admin port not closed", "err", err)
		}
	}
}

// closeAdmin gives the address back if nothing has run.
func (s *service) closeAdmin() {
	if s.admin == nil {
		return
	}
	if err := s.admin.Close(); err != nil {
		s.log.Warn("admin port not closed", "err", err)
	}
}

// adminNeedsRestart names what cannot change while the process runs.
func adminNeedsRestart(was, is *configs.Config) (keys []string) {
	if was.Admin.On() != is.Admin.On() {
		keys = append(keys, "admin.listen")
	}
	return keys
}

// reloadAdmin prepares what changed of the admin port. Certificates and passwords
// count as changed: their files may be others.
func (s *service) reloadAdmin(is *configs.Config) (apply, drop func(), err error) {
	if s.admin == nil {
		return func() {}, func() {}, nil
	}
	apply, drop, err = s.admin.Renew(is.Admin)
	if err == nil && !reflect.DeepEqual(s.cfg.Admin, is.Admin) {
		s.log.Info("admin port changed", "listen", is.Admin.Listen)
	}
	return apply, drop, err
}
