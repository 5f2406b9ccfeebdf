package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// checkDirectories judges where files are to grow.
func checkDirectories() check {
	return check{
		id: "disk", title: "directories and their room", machine: true,
		why:  "a sink that cannot write waits and then drops; a spool without room drops its oldest records",
		look: func(f *Facts) []Finding { return f.Answers.dirs },
	}
}

// look asks the file system.
func (d *Directory) look() []Finding {
	bad := func(s Severity, text, fix string) []Finding {
		return []Finding{{Severity: s, Subject: d.Key, Found: d.Path + ": " + text, Fix: fix}}
	}
	there, err := d.nearest()
	if errors.Is(err, unix.ENOTDIR) {
		return bad(Fail, err.Error(), "stat "+quoteShell(d.Path))
	}
	if err != nil {
		return bad(Fail, "does not exist", fmt.Sprintf("install -d -m 0750 -o %s %s", owner(), quoteShell(d.Path)))
	}
	if err := unix.Faccessat(unix.AT_FDCWD, there, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		fix := fmt.Sprintf("chown %s %s", owner(), quoteShell(there))
		if errors.Is(err, unix.EROFS) {
			fix = "mount -o remount,rw \"$(findmnt -n -o TARGET --target " + quoteShell(there) + ")\""
		}
		return bad(Fail, "cannot be written: "+err.Error(), fix)
	}
	var s unix.Statfs_t
	if err := unix.Statfs(there, &s); err != nil {
		return bad(Unknown, "room cannot be told: "+err.Error(), "")
	}
	free, own := s.Bavail*uint64(s.Bsize), uint64(0)
	if d.Own != nil {
		own = d.Own()
	}
	if d.Room > 0 && free+own < d.Room+d.Free {
		text := fmt.Sprintf("may come to take %s, and has room for %s", sizeOf(d.Room), sizeOf(free+own))
		if d.Free > 0 {
			text += fmt.Sprintf(", of which %s must stay free", sizeOf(d.Free))
		}
		return bad(Warn, text, "df -h "+quoteShell(there))
	}
	return []Finding{{Subject: d.Key, Found: fmt.Sprintf("%s: %s free", d.Path, sizeOf(free))}}
}

// nearest is the directory, or, where it will be made, the one in which it will.
func (d *Directory) nearest() (string, error) {
	path := d.Path
	for {
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			return path, nil
		case err == nil:
			return "", &fs.PathError{Op: "stat", Path: path, Err: unix.ENOTDIR}
		case !d.Make || path == filepath.Dir(path):
			return "", err
		}
		path = filepath.Dir(path)
	}
}

// owner is whom a directory should belong to: who asks.
func owner() string { return fmt.Sprint(os.Geteuid()) }
