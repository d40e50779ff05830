# Finishes the guest's file system in $1: a kernel without an initial RAM disk, the unit that runs the tests, and nothing else
# that a boot would wait for. A call of apt-get belongs here because the package lists are still there.
set -e
cd "$1"

# Installed in the ordinary way it would build an initial RAM disk. The cloud kernel has NVMe and ext4 built in.
kernel=$(chroot . apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: //p')
chroot . sh -c "cd /tmp && apt-get --quiet download $kernel nginx"
dpkg --extract tmp/linux-image-*.deb .
rm tmp/linux-image-*.deb
# An image of critest's has nginx, and the guest has no network to fetch it from.
mkdir usr/share/guest
mv tmp/nginx_*.deb usr/share/guest
version=${kernel#linux-image-}
mv "boot/vmlinuz-$version" boot/vmlinuz
chroot . depmod "$version"
printf '%s\n' overlay br_netfilter veth bridge virtio_net virtio_blk nf_tables >etc/modules-load.d/guest.conf

: >etc/fstab
echo guest >etc/hostname
echo 127.0.0.1 localhost guest >etc/hosts
echo 00000000000000000000000000000001 >etc/machine-id
touch etc/.updated var/.updated

# A getty on hvc0 would eat what the tests print, and apparmor.service loads a hundred profiles for a minute.
units="systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service
    systemd-logind.service systemd-journal-flush.service systemd-journal-catalog-update.service ldconfig.service
    systemd-hwdb-update.service systemd-update-utmp.service systemd-timesyncd.service systemd-random-seed.service
    systemd-pcrphase.service systemd-user-sessions.service apparmor.service getty.target getty@.service serial-getty@.service
    console-getty.service docker-registry.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
    e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-tmpfiles-clean.timer modprobe@.service"
for unit in $units; do ln -sf /dev/null "etc/systemd/system/$unit"; done

cat >etc/systemd/system/checks.service <<'UNIT'
[Unit]
Description=Tests, then the end
After=basic.target dbus.socket
SuccessAction=poweroff-immediate
FailureAction=poweroff-immediate

[Service]
Type=oneshot
TimeoutStartSec=infinity
StandardOutput=tty
StandardError=tty
TTYPath=/dev/hvc0
Environment=TERM=dumb
Delegate=yes
WorkingDirectory=/root
Environment=HOME=/root
ExecStartPre=/bin/mkdir /checks
ExecStartPre=/bin/tar -xf /dev/vda -C /checks
ExecStart=/bin/sh /checks/run
UNIT
mkdir -p etc/systemd/system/multi-user.target.wants
ln -s ../checks.service etc/systemd/system/multi-user.target.wants/checks.service
