package natsconn

import (
	"github.com/nats-io/nats.go"
)

// applyTLS sets TLS with callbacks that read the files at every connect. They
// are read once now, so that a wrong one fails Dial by its setting's name.
func (c Config) applyTLS(o *nats.Options) error {
	if !c.TLS.On() && !c.TLSHandshakeFirst {
		return nil
	}
	var err error
	if o.TLSConfig, err = baseTLS(c.TLS); err != nil {
		return err
	}
	o.Secure, o.TLSHandshakeFirst = true, c.TLSHandshakeFirst
	if c.TLS.CAFile != "" {
		read := roots(c.TLS)
		if _, err := read(); err != nil {
			return err
		}
		o.RootCAsCB = read
	}
	if c.TLS.CertFile == "" {
		return nil
	}
	read := certificate(c.TLS)
	if _, err := read(); err != nil {
		return err
	}
	o.TLSCertCB = read
	return nil
}
