#!/bin/sh
# Before the files are unpacked: some belong to the group. The same for dpkg and
# rpm, at installing and upgrading: what is there already stays.
set -e
if command -v systemd-sysusers >/dev/null 2>&1; then
	# This line is that of /usr/lib/sysusers.d/ctferry.conf, which is not there yet.
	systemd-sysusers --replace=/usr/lib/sysusers.d/ctferry.conf - <<'END'
u ctferry - "ctferry" /var/lib/ctferry /usr/sbin/nologin
END
elif ! getent passwd ctferry >/dev/null; then
	useradd --system --user-group --home-dir /var/lib/ctferry --no-create-home --shell /usr/sbin/nologin ctferry
fi
