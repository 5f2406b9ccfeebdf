package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// handler is everything that the port answers.
func (s *Server) handler() (http.Handler, error) {
	metrics, err := s.metrics()
	if err != nil {
		return nil, err
	}
	page := newPage()
	mux := http.NewServeMux()
	mux.Handle("/metrics", metrics)
	mux.HandleFunc("/healthz", s.healthz)
	mux.HandleFunc("/readyz", s.readyz)
	mux.HandleFunc("/stats.json", s.stats)
	mux.Handle("/{$}", page)
	mux.HandleFunc("/debug/pprof/", s.profile)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", noContent)
		if !s.front.Load().refuse(w, r) {
			mux.ServeHTTP(w, r)
		}
	}), nil
}

// metrics answers Prometheus, in OpenMetrics if it asks for that.
func (s *Server) metrics() (http.Handler, error) {
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		&collector{s.sampler}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("admin: metrics: %w", err)
		}
	}
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}), nil
}

// healthz says whether the reader goes round its loop.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	if err := s.ill(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// readyz says whether events are read: the sockets are bound.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	err := s.ill()
	if snap := s.sampler.latest(); err == nil && !snap.Ready {
		err = fmt.Errorf("the service is stopping")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// ill says what is wrong with the reader; it does not wait for it.
func (s *Server) ill() error {
	snap := s.sampler.latest()
	switch {
	case snap == nil:
		return fmt.Errorf("the service is starting")
	case snap.Standstill > standstill.Seconds():
		return fmt.Errorf("the reader stands still, for %.0f s", snap.Standstill)
	}
	return nil
}

// stats gives the snapshot.
func (s *Server) stats(w http.ResponseWriter, r *http.Request) {
	snap := s.sampler.fresh(r.Context())
	if snap == nil {
		http.Error(w, "there are no figures yet", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(snap) // whoever asked is gone
}

// profile is net/http/pprof, where that is allowed.
func (s *Server) profile(w http.ResponseWriter, r *http.Request) {
	if !s.front.Load().cfg.PProf {
		http.NotFound(w, r)
		return
	}
	switch r.URL.Path {
	case "/debug/pprof/profile":
		pprof.Profile(w, r)
	case "/debug/pprof/trace":
		pprof.Trace(w, r)
	case "/debug/pprof/symbol":
		pprof.Symbol(w, r)
	case "/debug/pprof/cmdline": // it may hold what --set was given
		http.NotFound(w, r)
	default:
		pprof.Index(w, r)
	}
}
