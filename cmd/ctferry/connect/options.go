package connect

import (
	"os"
	"os/user"

	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/natsconn"
)

// Options are what a command line says. What is empty it does not say.
type Options struct {
	Server  string // URLs, parted by commas
	Creds   string // a credentials file
	Context string // a context of the nats tool: its name, or its file
	Config  string // a configuration file whose section control is used
	Site    string
}

// DefaultConfig is the configuration that is used if none is named.
const DefaultConfig = "/etc/ctferry/ctferry.yaml"

// Host is the machine on which a command line runs: see ThisHost.
type Host struct {
	Environ []string // NAME=value
	Config  string   // the configuration that is used if none is named
	KeysDir string   // where the keys of a server inside ctferry run are
}

// Target is what was found.
type Target struct {
	Conn     natsconn.Config
	Subjects control.Subjects
	From     string // where it was found, for messages
}

// User is who calls, for the nodes' audit: a claim, as user@host.
func User() string {
	name := os.Getenv("SUDO_USER")
	if u, err := user.Current(); name == "" && err == nil {
		name = u.Username
	}
	host, _ := os.Hostname()
	return name + "@" + host
}
