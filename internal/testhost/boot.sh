# boot.sh FOLDER SHARE: run in a mount namespace of its own. Boots systemd over an
# overlay of / whose changes live in FOLDER, with SHARE as /mnt. Prints the
# process id of the new process 1, waits until standard input ends, and leaves
# nothing behind, FOLDER included. What a killed one left, the next removes.
set -e
trap '' HUP INT TERM # which go to the whole process group; standard input tells when to end
folder=$1 share=$2
name=${folder##*/}
mount --make-rprivate /
# FOLDER is locked as long as something of the host lives: unshare keeps the file open.
exec 9<"$folder"
flock -n 9
mount -t tmpfs -o mode=755 tmpfs "$folder"
cd "$folder"
mkdir cgroup upper work root
mount -t cgroup2 cgroup2 cgroup

# A folder that is not locked is litter, but a young one may be about to be locked.
find "${folder%/*}" -maxdepth 1 -type d -name 'ctferry-host-*' -mmin +1 | while read -r old; do
	flock -n "$old" sh -c 'find "$1" -depth -type d -path "*/$2*" -exec rmdir {} + && rmdir "$0"' \
		"$old" "$folder/cgroup" "${old##*/}" || true
done

group=$folder/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/$name
mkdir "$group"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" overlay root
mount --bind "$share" root/mnt

cat >init <<'END'
set -e
cd "$1"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,rw proc/sys/net
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs root
mount -t tmpfs -o mode=755,nosuid tmpfs dev
for node in null zero full random urandom tty; do
	touch dev/$node
	mount --bind /dev/$node dev/$node
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm
# What would touch the machine below, or takes time and is not looked at.
for unit in systemd-sysctl systemd-modules-load systemd-udevd systemd-udev-trigger systemd-hwdb-update \
	systemd-random-seed systemd-timesyncd systemd-binfmt apt-daily apt-daily-upgrade; do
	ln -sf /dev/null etc/systemd/system/$unit.service
done
for unit in proc-sys-fs-binfmt_misc.automount dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
	sys-fs-fuse-connections.mount sys-kernel-config.mount; do
	ln -sf /dev/null etc/systemd/system/$unit
done
echo test-host >etc/hostname
mkdir -p old
pivot_root . old
cd /
umount -l /old
rmdir /old
mount --make-rshared / # as on a machine that systemd has booted
exec env -i container=ctferry-test PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
	/lib/systemd/systemd --unit=sysinit.target </dev/null >/dev/null 2>&1
END

# The cgroup is entered before its namespace is made, so that it is the root in there.
sh -c 'echo $$ >"$1/cgroup.procs" && exec unshare -m -p -C -u -i -f --kill-child sh "$2/init" "$2/root"' \
	sh "$group" "$folder" </dev/null >&2 &
child=$!
tries=0
until read -r one <"$group/init.scope/cgroup.procs"; do
	tries=$((tries + 1))
	[ $tries -lt 300 ] && kill -0 $child || { echo "systemd does not come up" >&2; break; }
	sleep 0.1
done 2>/dev/null
echo "$one"
cat >/dev/null
kill -KILL $child 2>/dev/null || true
wait $child 2>/dev/null || true
tries=0
until find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || [ $tries -gt 100 ]; do
	tries=$((tries + 1))
	sleep 0.1
done
cd /
umount -l "$folder"
rmdir "$folder"
