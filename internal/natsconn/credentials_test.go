package natsconn_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ctferry/ctferry/internal/natsconn"
	"github.com/ctferry/ctferry/internal/natsconn/natstest"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/ctferry/ctferry/internal/testnet"
)

// key gets a user's public key, or fails.
func key(t *testing.T, c natsconn.Credentials, user string, private bool) string {
	t.Helper()
	public, err := c.Public(user, private)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func modeOf(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// Keys are made once, with the modes that are promised whatever the umask is.
func TestCredentialsAreMadeOnce(t *testing.T) {
	for _, umask := range []int{0, 0o077} {
		old := syscall.Umask(umask)
		c := natsconn.Credentials{Dir: filepath.Join(t.TempDir(), "credentials")}
		node, admin := key(t, c, "node", true), key(t, c, "admin", false)
		syscall.Umask(old)
		if node == admin || !strings.HasPrefix(node, "U") || !strings.HasPrefix(admin, "U") {
			t.Errorf("keys %s and %s", node, admin)
		}
		if again := key(t, c, "node", true); again != node {
			t.Errorf("the key was %s and is %s", node, again)
		}
		for path, want := range map[string]fs.FileMode{c.Dir: 0o750, c.SeedFile("node"): 0o600, c.SeedFile("admin"): 0o640} {
			if got := modeOf(t, path); got != want {
				t.Errorf("%s: mode %o, want %o", filepath.Base(path), got, want)
			}
		}
		if entries, _ := os.ReadDir(c.Dir); len(entries) != 2 {
			t.Errorf("left behind: %v", entries)
		}
	}
}

// Who comes second gets the key of the first.
func TestCredentialsAtOnce(t *testing.T) {
	c := natsconn.Credentials{Dir: filepath.Join(t.TempDir(), "a", "b")}
	keys := make([]string, 16)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() { keys[i], _ = c.Public("admin", false) })
	}
	wg.Wait()
	for _, k := range keys {
		if k == "" || k != keys[0] {
			t.Fatalf("keys %v", keys)
		}
	}
}

func TestCredentialsGroup(t *testing.T) {
	if os.Getuid() != 0 {
		testnet.Unavailable(t, "giving files to another group needs root")
	}
	group := func(path string) uint32 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Gid
	}
	c := natsconn.Credentials{Dir: filepath.Join(t.TempDir(), "c")}
	key(t, c, "admin", false)
	c.Group = "12345"
	key(t, c, "admin", false)
	key(t, c, "viewer", false)
	key(t, c, "node", true)
	if err := c.Write("admin.json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]uint32{c.Dir: 12345, c.SeedFile("admin"): 12345, c.SeedFile("viewer"): 12345, c.SeedFile("node"): 0, filepath.Join(c.Dir, "admin.json"): 12345} {
		if got := group(path); got != want {
			t.Errorf("%s: group %d, want %d", filepath.Base(path), got, want)
		}
	}
}

func TestCredentialsAtFault(t *testing.T) {
	dir := func(mode fs.FileMode) string {
		path := filepath.Join(t.TempDir(), "c")
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	with := func(content string, mode fs.FileMode) string {
		path := dir(0o750)
		if err := os.WriteFile(filepath.Join(path, "admin.nk"), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tt := range map[string]struct {
		c    natsconn.Credentials
		want string
	}{
		"below a file":      {natsconn.Credentials{Dir: file(t, "") + "/c"}, "nats_server.credentials.dir: "},
		"a file":            {natsconn.Credentials{Dir: file(t, "")}, "is no directory"},
		"open directory":    {natsconn.Credentials{Dir: dir(0o777)}, "everybody may write there: chmod o-w"},
		"open seed":         {natsconn.Credentials{Dir: with("SUAEL6RG", 0o644)}, "everybody may read it: chmod o="},
		"no seed":           {natsconn.Credentials{Dir: with("", 0o600)}, "admin.nk: no user nkey seed (SU...) in it"},
		"no such group":     {natsconn.Credentials{Dir: dir(0o750), Group: "no-such-group"}, "nats_server.credentials.group: group: unknown group no-such-group"},
		"no group's number": {natsconn.Credentials{Dir: dir(0o750), Group: "-1"}, "nats_server.credentials.group: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tt.c.Public("admin", false)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !natsconn.IsConfig(err) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// A server whose users are credentials takes their seeds, in this process too,
// holds each to its permissions, and refuses who has none.
func TestCredentialsOpenTheServer(t *testing.T) {
	noLeaks(t)
	c := natsconn.Credentials{Dir: filepath.Join(t.TempDir(), "c")}
	node, viewer := key(t, c, "node", true), key(t, c, "viewer", false)
	b := natstest.Start(t, func(conf *natsconn.ServerConfig) {
		conf.NkeyUsers = []*server.NkeyUser{{Nkey: node}, {Nkey: viewer, Permissions: &server.Permissions{
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_viewer.>"}},
		}}}
	})
	conf := b.Config()
	wantAuth(t, refused(t, conf), nats.ErrAuthorization)
	_, err := natsconn.Dial(within(t), natsconn.Config{}, natsconn.Callbacks{}, nil, b.InProcess())
	wantAuth(t, err, nats.ErrAuthorization)
	conf.NkeyFile = c.SeedFile("node")
	echo(t, dial(t, conf, natsconn.Callbacks{}))
	echo(t, dial(t, natsconn.Config{NkeyFile: c.SeedFile("node")}, natsconn.Callbacks{}, b.InProcess()))
	denied := make(chan *natsconn.PermissionError, 1)
	conf.NkeyFile = c.SeedFile("viewer")
	nc := dial(t, conf, natsconn.Callbacks{PermissionDenied: func(e *natsconn.PermissionError) { denied <- e }})
	if _, err := nc.SubscribeSync("_INBOX.>"); err != nil {
		t.Fatal(err)
	}
	if e := wait(t, "refusal", denied); e.Op != natsconn.OpSubscribe || e.Subject != "_INBOX.>" {
		t.Errorf("%+v", e)
	}
}
