#!/bin/sh
# After the files are gone. Records, spool and user stay; dpkg's purge takes the
# records and the spool of ctferry.service too. What an administrator has laid
# into /etc/ctferry, and the folders of instances, are never touched.
set -e
case "$1" in
purge)
	rm -rf /var/lib/ctferry /var/log/ctferry
	for folder in /etc/ctferry/conf.d /etc/ctferry; do
		[ ! -d $folder ] || rmdir --ignore-fail-on-non-empty $folder
	done
	;;
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload
		systemctl reset-failed ctferry.service 'ctferry@*.service' 2>/dev/null || true
	fi
	;;
esac
