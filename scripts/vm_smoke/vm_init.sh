#!/bin/busybox sh
# PID 1 of the test machine: the file systems of an ordinary host, cgroup v2 and nothing of v1, then the
# command, its exit status on the console, and the end.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mount -t cgroup2 cgroup /sys/fs/cgroup
ip link set lo up
hostname vm-smoke
ulimit -n 20000
# An init system leaves no process in the root group, and controllers on for its children.
mkdir /sys/fs/cgroup/init
echo $$ >/sys/fs/cgroup/init/cgroup.procs
for controller in cpu memory pids; do echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control; done
echo "vm_smoke: Linux $(uname -r), cgroup v2 with: $(cat /sys/fs/cgroup/cgroup.controllers)"
if grep -q ' cgroup ' /proc/mounts; then echo "vm_smoke: cgroup v1 is mounted"; status=125
else
  mkdir /sys/fs/cgroup/command
  sh -c 'echo $$ >/sys/fs/cgroup/command/cgroup.procs; exec sh /vm_command' </dev/null
  status=$?
fi
sync
echo "vm_smoke: exit status $status"
reboot -f
