#!/bin/sh
# After the files are unpacked. Installing makes the folders and does no more:
# nothing is started or enabled. An upgrade restarts what runs, but only what the
# new binary can run: a service whose configuration it refuses goes on with the
# old binary, whose file the kernel keeps for it.
set -e
case "$1" in
configure | [0-9]*) ;;
*) exit 0 ;; # dpkg undoes something
esac
if command -v systemd-tmpfiles >/dev/null 2>&1; then
	systemd-tmpfiles --create /usr/lib/tmpfiles.d/ctferry.conf
else
	install -d -m 0750 -o ctferry -g ctferry /var/lib/ctferry /var/log/ctferry
fi
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload

# new_check PID: the new binary's check of the configuration that the process
# runs with, by the same user and with the same variables.
new_check() {
	config=$(tr '\0' '\n' <"/proc/$1/cmdline" | grep -A1 -x -e -c -e --config | sed -n 2p)
	[ -n "$config" ] || return 0
	{ grep -z '^CTFERRY_' "/proc/$1/environ" || true; } |
		xargs -0 sh -c 'uid=$1 gid=$2 config=$3; shift 3
			exec setpriv --reuid "$uid" --regid "$gid" --clear-groups env "$@" /usr/bin/ctferry check "$config"' \
			sh "$(stat -c %u "/proc/$1")" "$(stat -c %g "/proc/$1")" "$config"
}

for unit in $(systemctl list-units --plain --no-legend --full --state=active,reloading 'ctferry.service' 'ctferry@*.service' | cut -d ' ' -f 1); do
	pid=$(systemctl show --value --property=MainPID "$unit")
	[ "${pid:-0}" -gt 0 ] || continue
	if said=$(new_check "$pid" 2>&1); then
		systemctl try-restart "$unit" || echo "ctferry: $unit did not start again: see systemctl status $unit" >&2
		continue
	fi
	cat >&2 <<END
ctferry: the new version refuses the configuration of $unit:
$said
ctferry: $unit goes on with the version that it runs. Mend the configuration, then: systemctl restart $unit
END
done
exit 0
