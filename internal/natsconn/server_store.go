package natsconn

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// lockName is the file in the store directory whose lock says that a server has
// it open. nats-server itself does not guard its store.
const lockName = "ctferry.lock"

// lockStore makes the store directory and takes it for this process. Closing
// the file, or the end of the process, gives it back.
func lockStore(dir string) (*os.File, error) {
	const field = "nats_server.store_dir"
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, &FieldError{Field: field, Err: err}
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, &FieldError{Field: field, Err: err}
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &FieldError{Field: field, Msg: dir + " is in use by another server", Err: err}
		}
		return nil, &FieldError{Field: field, Err: os.NewSyscallError("flock", err)}
	}
	return f, nil
}
