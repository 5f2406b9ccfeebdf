// Package systemd holds the units and what belongs to them, and no code: the
// tests that look at the files alone. What the units do under a real systemd is
// tested with the packages, in configs/package.
package systemd
