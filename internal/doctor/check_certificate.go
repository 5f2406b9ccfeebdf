package doctor

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// checkCertificates judges the certificates in files.
func checkCertificates() check {
	return check{
		id: "certificate", title: "certificates and their end", machine: true,
		why:  "after its end no connection is made with it",
		look: func(f *Facts) []Finding { return f.Answers.certs },
	}
}

// look reads the file; now is when the certificates must be valid.
func (c *Certificate) look(now time.Time) []Finding {
	result := func(s Severity, text string) []Finding {
		f := Finding{Severity: s, Subject: c.Key, Found: c.Path + ": " + text}
		if s != OK {
			f.Fix = "openssl x509 -noout -subject -dates -in " + quoteShell(c.Path)
		}
		return []Finding{f}
	}
	first, err := firstToEnd(c.Path)
	if err != nil {
		return result(Fail, err.Error())
	}
	name, left := first.Subject.String(), first.NotAfter.Sub(now)
	switch {
	case left <= 0:
		return result(Fail, fmt.Sprintf("%s ended on %s", name, first.NotAfter.Format(time.DateOnly)))
	case now.Before(first.NotBefore):
		return result(Fail, fmt.Sprintf("%s is not valid before %s", name, first.NotBefore.Format(time.DateTime)))
	case left < expirySoon:
		return result(Warn, fmt.Sprintf("%s ends on %s, in %d days", name, first.NotAfter.Format(time.DateOnly), int(left.Hours()/24)))
	}
	return result(OK, fmt.Sprintf("%s is good until %s", name, first.NotAfter.Format(time.DateOnly)))
}

// firstToEnd is the certificate of a file that ends first.
func firstToEnd(path string) (first *x509.Certificate, err error) {
	rest, err := os.ReadFile(path)
	if err != nil {
		var at *os.PathError
		if errors.As(err, &at) {
			err = at.Err // the path stands before it anyway
		}
		return nil, err
	}
	for len(rest) > 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if first == nil || cert.NotAfter.Before(first.NotAfter) {
			first = cert
		}
	}
	if first == nil {
		return nil, errors.New("holds no certificate: expected PEM")
	}
	return first, nil
}
