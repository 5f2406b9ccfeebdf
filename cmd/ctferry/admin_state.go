package main

import (
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/admin"
)

// reloads notes how loading the configuration went.
type reloads struct {
	mu   sync.Mutex
	last admin.Reload
}

// note enters how a reload ended.
func (r *reloads) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last.Time, r.last.OK, r.last.Error = time.Now(), err == nil, ""
	r.last.Reloads++
	if err != nil {
		r.last.Failed++
		r.last.Error = err.Error()
		return
	}
	r.last.LastSuccess = r.last.Time
}

// begin enters the configuration that the process began with.
func (r *reloads) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.last = admin.Reload{OK: true, Time: now, LastSuccess: now}
}

func (r *reloads) told() admin.Reload {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// requestKey is a way in which requests end: verbs and codes are few.
type requestKey struct {
	verb control.Verb
	code control.Code
}

// codeDone is what stands for no error.
const codeDone control.Code = 200

// requests counts how requests over NATS ended, over all that serves them.
type requests struct {
	mu    sync.Mutex
	count map[requestKey]admin.RequestCount
	fault admin.Failure
	svc   *control.Service // that serves now, or nil
}

// tell enters a request that ended.
func (r *requests) tell(verb control.Verb, why *control.Error, took time.Duration) {
	key := requestKey{verb, codeDone}
	if why != nil {
		key.code = why.Code
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == nil {
		r.count = map[requestKey]admin.RequestCount{}
	}
	c := r.count[key]
	c.Verb, c.Code = string(key.verb), int(key.code)
	c.Count++
	c.Seconds += took.Seconds()
	r.count[key] = c
}

// serve notes who serves.
func (r *requests) serve(svc *control.Service) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.svc = svc
}

// fail notes why nobody serves.
func (r *requests) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = admin.Failure{Time: time.Now(), Part: "control", Text: clipped(err.Error(), maxFailure)}
}

// told is what the admin port tells of control; nil without it.
func (c *controller) told() *admin.Control {
	if c == nil {
		return nil
	}
	r := &c.requests
	r.mu.Lock()
	svc := r.svc
	all := slices.AppendSeq([]admin.RequestCount{}, maps.Values(r.count))
	r.mu.Unlock()
	slices.SortFunc(all, func(a, b admin.RequestCount) int {
		return cmp.Or(cmp.Compare(a.Verb, b.Verb), cmp.Compare(a.Code, b.Code))
	})
	return &admin.Control{Serving: svc != nil && svc.Status().Serving, Requests: all}
}

// lastFault is why control was not reachable last; nothing if it always was.
func (c *controller) lastFault() admin.Failure {
	if c == nil {
		return admin.Failure{}
	}
	c.requests.mu.Lock()
	defer c.requests.mu.Unlock()
	return c.requests.fault
}

// readCertificates tells when the first certificate of each file expires.
func readCertificates(files []configs.NamedFile) []admin.Certificate {
	all := []admin.Certificate{}
	for _, f := range files {
		c := admin.Certificate{Key: f.Key, File: f.Path}
		var err error
		if c.NotAfter, err = firstExpiry(f.Path); err != nil {
			c.Error = err.Error()
		}
		all = append(all, c)
	}
	return all
}

func firstExpiry(path string) (first time.Time, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return first, fmt.Errorf("certificate: %w", err)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return first, fmt.Errorf("certificate: %s: %w", path, err)
		}
		if first.IsZero() || cert.NotAfter.Before(first) {
			first = cert.NotAfter
		}
	}
	if first.IsZero() {
		return first, errors.New("certificate: " + path + " holds none")
	}
	return first, nil
}

// clipped shortens a text to at most so many bytes and a sign that says so.
func clipped(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}
