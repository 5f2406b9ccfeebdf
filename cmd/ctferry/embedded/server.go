package embedded

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/ctferry/ctferry/configs"
	"github.com/ctferry/ctferry/control"
	"github.com/ctferry/ctferry/internal/natsconn"
)

// Server is the server inside the process.
type Server struct {
	*natsconn.Server
	conf     configs.NATSServer
	subjects control.Subjects
}

// Context is a context of the nats tool that also says where the nodes are. The
// tool passes over what it does not know.
type Context struct {
	natsconn.ClientContext
	Prefix string `json:"ctferry_prefix,omitempty"`
	Site   string `json:"ctferry_site,omitempty"`
}

// New makes the keys that are missing, and the server. Nothing runs before
// Start. Errors name the setting at fault.
func New(c configs.NATSServer, node string, s control.Subjects, log *slog.Logger) (*Server, error) {
	conf := c.Server
	if conf.Name == "" {
		conf.Name = control.Token(node)
	}
	for _, role := range append(Roles(), Node) {
		key, err := c.Credentials.Public(role, role == Node)
		if err != nil {
			return nil, err
		}
		conf.NkeyUsers = append(conf.NkeyUsers, &server.NkeyUser{Nkey: key, Permissions: Permissions(role, s)})
	}
	srv, err := natsconn.NewServer(conf, log)
	if err != nil {
		return nil, err
	}
	return &Server{srv, c, s}, nil
}

// Start starts the server, and then writes where it is beside each key.
func (s *Server) Start(ctx context.Context) error {
	if err := s.Server.Start(ctx); err != nil {
		return err
	}
	if err := s.writeContexts(); err != nil {
		s.Shutdown()
		return err
	}
	return nil
}

// Connection is how this process connects, together with Server.InProcess.
func (s *Server) Connection() natsconn.Config {
	return natsconn.Config{NkeyFile: s.conf.Credentials.SeedFile(Node)}
}

// Reload tells clients anew where the server is: its certificate may be another.
func (s *Server) Reload() error { return s.writeContexts() }

// writeContexts tells clients on this host where the server is and with what
// key to come. A server that only this process can reach has nothing to tell.
func (s *Server) writeContexts() error {
	at := s.ClientURL()
	if at == "" {
		return nil
	}
	at, ca, err := s.trusted(at)
	if err != nil {
		return &natsconn.FieldError{Field: "nats_server.tls.cert_file", Err: err}
	}
	for _, role := range Roles() {
		x := Context{Prefix: s.subjects.Prefix, Site: s.subjects.Site, ClientContext: natsconn.ClientContext{
			Description: "ctferry on this host, as " + role, URL: at, NKey: s.conf.Credentials.SeedFile(role),
			CA: ca, InboxPrefix: InboxPrefix(role), TLSFirst: s.conf.Server.TLS.HandshakeFirst,
		}}
		text, err := json.MarshalIndent(x, "", "  ")
		if err != nil {
			return err
		}
		if err := s.conf.Credentials.Write(contextName(role), append(text, '\n')); err != nil {
			return err
		}
	}
	return nil
}

func contextName(role string) string { return role + ".json" }
