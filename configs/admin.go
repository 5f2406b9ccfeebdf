package configs

import (
	"github.com/ctferry/ctferry/internal/option"
)

// admin checks the section, whether there is to be a port or not.
func (b *builder) admin(cfg *Config, r *raw) {
	a := &r.Admin
	var fs option.Faults
	fs.Join("", a.Validate())
	fs = append(fs, newOnes(fs, b.secrets("admin", "", a, fs))...)
	b.judge("admin", fs.Err())
	cfg.Admin = *a
	if a.On() && !a.Loopback() && !a.Guarded() {
		b.warn("admin.listen", "other machines may read it, and what they read can be read on the way: set tls.cert_file and tls.key_file, and basic_auth or tls.ca_file")
	}
}
