#!/bin/sh
# Before the files go. An upgrade (dpkg: upgrade, rpm: 1) stops nothing: the
# postinstall script of the new version decides.
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac
command -v systemctl >/dev/null 2>&1 || exit 0
if [ -d /run/systemd/system ]; then
	systemctl stop ctferry.service 'ctferry@*.service'
fi
systemctl --no-reload disable ctferry.service ctferry@.service >/dev/null 2>&1 || true
