package natsconn

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Validate checks everything that can be known without touching a file or the
// network. It returns nil, or one *FieldError for each fault, joined.
func (c Config) Validate() error {
	p := c.problems(false)
	return p.join()
}

// problems is Validate; an in-process connection needs no URLs.
func (c Config) problems(inProcess bool) problems {
	var p problems
	p.check(len(c.URLs) == 0 && !inProcess, "urls", "at least one is needed, for example nats://127.0.0.1:4222")
	c.checkURLs(&p)
	c.checkAuth(&p)
	p.under("tls", tlsProblems(c.TLS))
	c.checkTimes(&p)
	p.check(c.InboxPrefix != "" && !isSubject(c.InboxPrefix), "inbox_prefix",
		"%q: expected a subject without wildcards or spaces", c.InboxPrefix)
	p.check(strings.ContainsAny(c.Name, "\r\n"), "name", "must be one line")
	return p
}

func (c Config) checkURLs(p *problems) {
	var ws int
	for i, raw := range c.URLs {
		field := fmt.Sprintf("urls[%d]", i)
		scheme, msg := checkURL(raw)
		if msg != "" {
			p.addf(field, "%s", msg)
		}
		if scheme == "ws" || scheme == "wss" {
			ws++
		}
	}
	p.check(ws > 0 && ws < len(c.URLs), "urls", "ws and wss cannot be mixed with nats and tls")
}

// checkURL returns the scheme of a server's URL, and what is wrong with it. It
// never repeats a URL that carries a password.
func checkURL(raw string) (scheme, msg string) {
	u, err := url.Parse(raw)
	if strings.Contains(raw, "@") {
		return "", "user, password and token do not belong in a URL; they have settings of their own"
	}
	if err != nil || !isScheme(u.Scheme) {
		return "", fmt.Sprintf("%q: expected nats://, tls://, ws:// or wss:// with host:port", raw)
	}
	if u.Hostname() == "" {
		return u.Scheme, fmt.Sprintf("%q: the host is missing", raw)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return u.Scheme, fmt.Sprintf("%q: expected a port from 1 to 65535", raw)
		}
	}
	if path := strings.Trim(u.Path, "/"); (path != "" && !strings.HasPrefix(u.Scheme, "ws")) || u.RawQuery != "" || u.Fragment != "" {
		return u.Scheme, fmt.Sprintf("%q: nothing may follow host:port", raw)
	}
	return u.Scheme, ""
}

func isScheme(s string) bool { return s == "nats" || s == "tls" || s == "ws" || s == "wss" }

func (c Config) checkAuth(p *problems) {
	p.check(!c.Token.IsZero() && c.TokenFile != "", "token_file", "token is set too; only one of them may be")
	p.check(!c.Password.IsZero() && c.PasswordFile != "", "password_file", "password is set too; only one of them may be")
	hasPassword := !c.Password.IsZero() || c.PasswordFile != ""
	p.check(c.User == "" && hasPassword, "user", "missing beside the password")
	p.check(c.User != "" && !hasPassword, "password", "missing beside user; give password or password_file")
	kinds := c.authKinds()
	for _, kind := range kinds[min(1, len(kinds)):] {
		p.addf(kind, "%s is set too; only one kind of authentication may be", kinds[0])
	}
}

// authKinds returns the setting that stands for each kind of authentication in use.
func (c Config) authKinds() []string {
	var kinds []string
	for _, k := range []struct {
		field string
		set   bool
	}{
		{"creds_file", c.CredsFile != ""},
		{"nkey_file", c.NkeyFile != ""},
		{"token", !c.Token.IsZero()},
		{"token_file", c.TokenFile != "" && c.Token.IsZero()},
		{"user", c.User != ""},
	} {
		if k.set {
			kinds = append(kinds, k.field)
		}
	}
	return kinds
}

func (c Config) checkTimes(p *problems) {
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"connect_timeout", c.ConnectTimeout},
		{"reconnect_wait", c.ReconnectWait},
		{"reconnect_max_wait", c.ReconnectMaxWait},
		{"ping_interval", c.PingInterval},
		{"write_timeout", c.WriteTimeout},
		{"drain_timeout", c.DrainTimeout},
	} {
		p.check(d.value < 0, d.field, "%v: must not be negative", d.value)
	}
	p.check(c.MaxPingsOut < 0, "max_pings_out", "%d: must not be negative", c.MaxPingsOut)
	p.check(c.ReconnectMaxWait > 0 && c.ReconnectMaxWait < c.ReconnectWait, "reconnect_max_wait",
		"%v: shorter than reconnect_wait, %v", c.ReconnectMaxWait, c.ReconnectWait)
}

// isSubject reports whether s is a literal NATS subject.
func isSubject(s string) bool {
	for token := range strings.SplitSeq(s, ".") {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n") {
			return false
		}
	}
	return true
}
