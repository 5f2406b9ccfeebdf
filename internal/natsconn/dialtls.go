package natsconn

import (
	"github.com/nats-io/nats.go"
)

// applyTLS sets TLS with callbacks that read the files at every connect. They
// are read once now, so that a wrong one fails Dial by its setting's name.
func (c Config) applyTLS(o *nats.Options) error {
	if !c.TLS.enabled() {
		return nil
	}
	o.Secure = true
	o.TLSConfig = c.TLS.base()
	o.TLSHandshakeFirst = c.TLS.HandshakeFirst
	if c.TLS.CAFile != "" {
		if _, err := c.TLS.roots(); err != nil {
			return err
		}
		o.RootCAsCB = c.TLS.roots
	}
	if c.TLS.CertFile == "" {
		return nil
	}
	if _, err := c.TLS.certificate(); err != nil {
		return err
	}
	o.TLSCertCB = c.TLS.certificate
	return nil
}
