package control

import (
	"sync"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/nats-io/nats.go"
)

// denials bring the server's word that a permission is missing, which comes by
// itself and after the fact, to the call that needs it.
type denials struct {
	mu      sync.Mutex
	waiting map[string]map[chan *natsconn.PermissionError]struct{} // by subject
}

// watchDenials puts itself before the connection's error handler.
func watchDenials(nc *nats.Conn) *denials {
	d := &denials{waiting: map[string]map[chan *natsconn.PermissionError]struct{}{}}
	next := nc.ErrorHandler()
	nc.SetErrorHandler(func(nc *nats.Conn, sub *nats.Subscription, err error) {
		if pe := natsconn.AsPermissionError(err); pe != nil {
			d.note(pe)
		}
		if next != nil {
			next(nc, sub, err)
		}
	})
	return d
}

// note hands a denial to those who wait for one of its subject.
func (d *denials) note(pe *natsconn.PermissionError) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for ch := range d.waiting[pe.Subject] {
		select {
		case ch <- pe:
		default: // it has one already
		}
	}
}

// wait has ch, which must have room for one, get the next denial of a subject,
// until forget is called for ch.
func (d *denials) wait(ch chan *natsconn.PermissionError, subject string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting[subject] == nil {
		d.waiting[subject] = map[chan *natsconn.PermissionError]struct{}{}
	}
	d.waiting[subject][ch] = struct{}{}
}

// forget ends every wait of ch.
func (d *denials) forget(ch chan *natsconn.PermissionError) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for subject, chans := range d.waiting {
		if delete(chans, ch); len(chans) == 0 {
			delete(d.waiting, subject)
		}
	}
}
