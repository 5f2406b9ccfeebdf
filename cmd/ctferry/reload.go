package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/sinks"
)

// reload takes a new configuration over. Everything new is made before
// anything old is touched; any fault leaves the old one whole.
func (s *service) reload(load func() (*configs.Config, error)) {
	cfg, err := load()
	if err == nil {
		err = needsRestart(s.cfg, cfg)
	}
	if err == nil {
		err = s.apply(cfg)
	}
	s.reloads.note(err)
	if err != nil {
		s.log.Error("configuration not reloaded, the old one stays", "err", err)
		return
	}
	s.log.Info("configuration reloaded", "sinks", len(cfg.Sinks))
	s.source.Status("reload")
}

// needsRestart names what differs and cannot change while the process runs.
func needsRestart(was, is *configs.Config) error {
	var keys []string
	if was.Node != is.Node {
		keys = append(keys, "node")
	}
	if !reflect.DeepEqual(was.Meta, is.Meta) {
		keys = append(keys, "meta")
	}
	if !reflect.DeepEqual(was.Source, is.Source) {
		keys = append(keys, "source")
	}
	if was.Spool != is.Spool && (was.Spool.Mode != sinks.SpoolOff || is.Spool.Mode != sinks.SpoolOff) {
		keys = append(keys, "spool")
	}
	keys = append(keys, controlNeedsRestart(was, is)...)
	keys = append(keys, adminNeedsRestart(was, is)...)
	if len(keys) == 0 {
		return nil
	}
	return errors.New("a change of " + strings.Join(keys, ", ") + " needs a restart")
}

// controlNeedsRestart names what differs of control and of the server inside
// the process, which know control's subjects. Without them nothing does.
func controlNeedsRestart(was, is *configs.Config) (keys []string) {
	differ := func(key string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			keys = append(keys, key)
		}
	}
	if was.NATSServer.Enabled || is.NATSServer.Enabled {
		differ("nats_server", was.NATSServer, is.NATSServer)
	}
	differ("control.enabled", was.Control.Enabled, is.Control.Enabled)
	if was.Control.Enabled && is.Control.Enabled {
		differ("control.connection", []any{was.ControlConnection, was.Control.Connection}, []any{is.ControlConnection, is.Control.Connection})
		differ("control.audit", was.Control.Audit, is.Control.Audit)
	}
	if was.Control.Enabled && is.Control.Enabled || was.NATSServer.Enabled && is.NATSServer.Enabled {
		differ("control.prefix", was.Control.Prefix, is.Control.Prefix)
		differ("control.site", was.Control.Site, is.Control.Site)
	}
	return keys
}

// reloadControl prepares what changed of control; the function that it gives
// puts it in force.
func (s *service) reloadControl(is *configs.Config) (apply func(), err error) {
	if s.server != nil {
		if err := s.server.Reload(); err != nil { // the certificate may be another
			return nil, err
		}
	}
	if s.control == nil || reflect.DeepEqual(s.cfg.Control, is.Control) {
		return func() {}, nil
	}
	r, err := s.control.newRules(is.Control)
	if err != nil {
		return nil, err
	}
	return func() { s.control.swap(r) }, nil
}

// apply replaces the workers whose sink differs.
func (s *service) apply(cfg *configs.Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	workers, fresh, err := s.renew(cfg.Sinks)
	rules := func() {}
	if err == nil {
		rules, err = s.reloadControl(cfg)
	}
	port, drop := func() {}, func() {}
	if err == nil {
		port, drop, err = s.reloadAdmin(cfg)
	}
	if err == nil {
		if err = s.source.Wants(wanted(cfg.Sinks)); err != nil {
			drop()
		}
	}
	if err != nil {
		s.forget()
		return err
	}
	rules()
	port()
	s.swap(cfg, workers, fresh)
	return nil
}

// swap puts the workers of cfg in the place of those that run; mu is held.
func (s *service) swap(cfg *configs.Config, workers map[string]*worker, fresh []*worker) {
	var outlets []*sinks.Outlet
	for _, c := range cfg.Sinks {
		outlets = append(outlets, workers[c.Name].outlet)
	}
	s.fanout.Swap(outlets...)
	old := s.workers
	s.workers, s.cfg = workers, cfg
	for _, w := range fresh {
		if w.before != nil {
			w.before.inherited = s.store != nil
			delete(s.parked, w.outlet.Name())
		}
		s.start(w)
	}
	for name, w := range old {
		if workers[name] != w {
			w.cancel()
			s.retire(w)
			continue
		}
		w.outlet.Reopen()
	}
	for name, w := range s.parked {
		if !cfg.Named()[name] {
			delete(s.parked, name)
			s.part(w)
		}
	}
}

// renew keeps the workers whose sink is the same and makes the others.
func (s *service) renew(all []sinks.Config) (workers map[string]*worker, fresh []*worker, err error) {
	workers = map[string]*worker{}
	for _, c := range all {
		if w, ok := s.workers[c.Name]; ok && same(w, c) {
			workers[c.Name] = w
			continue
		}
		w, err := s.newWorker(c)
		if err != nil {
			return nil, nil, err
		}
		workers[c.Name] = w
		fresh = append(fresh, w)
	}
	return workers, fresh, nil
}

func same(w *worker, c sinks.Config) bool {
	return reflect.DeepEqual(w.cfg, c) && w.files == fingerprint(c)
}

// fingerprint covers the content of every file that a sink's keys name (those
// that end in _file): a new certificate or password counts as a change.
func fingerprint(c sinks.Config) string {
	h := sha256.New()
	for _, path := range fileKeys(reflect.ValueOf(c.Options)) {
		content, err := os.ReadFile(path)
		fmt.Fprintf(h, "%q %x %v\n", path, sha256.Sum256(content), err)
	}
	return string(h.Sum(nil))
}

// fileKeys gathers the values of string keys that end in _file.
func fileKeys(v reflect.Value) []string {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil
	}
	var paths []string
	for i := range v.NumField() {
		tag, f := v.Type().Field(i).Tag.Get("koanf"), v.Field(i)
		switch {
		case f.Kind() == reflect.Struct:
			paths = append(paths, fileKeys(f)...)
		case f.Kind() == reflect.String && strings.HasSuffix(tag, "_file") && f.String() != "":
			paths = append(paths, f.String())
		}
	}
	return paths
}
