#!/bin/busybox sh
# PID 1 of the initramfs: loads the modules, then leaves for the real root. An initramfs itself will not
# do as the root: pivot_root(2), which sandboxes need, refuses to move it.
/bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*.ko; do
  /bin/busybox insmod "$module" || echo "vm_smoke: $module did not load"
done
tries=0
until [ -b /dev/vda ] || [ $tries -ge 50 ]; do
  /bin/busybox sleep 0.1
  tries=$((tries + 1))
done
/bin/busybox mount -t ext4 /dev/vda /root && exec /bin/busybox switch_root /root /vm_init
echo "vm_smoke: the root disk could not be mounted"
echo "vm_smoke: exit status 125"
/bin/busybox reboot -f
