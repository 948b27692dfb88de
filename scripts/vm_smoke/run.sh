#!/usr/bin/env bash
# Runs a command on a machine of its own that has cgroup v2 only (this one may have v1 or both): Debian's
# cloud kernel in QEMU, without KVM, on a root made of busybox and the programs the command needs.
#   scripts/vm_smoke/run.sh [BUILD_DIR]                        the sandbox tests, then the daemon with one call
#   scripts/vm_smoke/run.sh BUILD_DIR -- COMMAND [ARGUMENT...]
# The command's words that are files, and OKIBI_VM_FILES, go along at their own paths. Exit status: the
# command's; 124 out of time; 125 the machine did not come up; 77 not possible here.
# Settings: OKIBI_VM_SECONDS (300), OKIBI_VM_MEMORY (2048, MB), OKIBI_VM_ACCEL (tcg).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$(realpath -m "${1:-$root/build/release}")
[ $# -eq 0 ] || shift
[ "${1:-}" != -- ] || shift
cache=$root/build/vm
seconds=${OKIBI_VM_SECONDS:-300}

skip() { echo "vm_smoke: $*"; exit 77; }
for tool in qemu-system-x86_64 mkfs.ext4 cpio python3; do
  command -v "$tool" >/dev/null || skip "$tool is missing (scripts/install_packages.sh vm)"
done
busybox=$(command -v busybox) || skip "busybox is missing (scripts/install_packages.sh vm)"
if ldd "$busybox" >/dev/null 2>&1; then skip "busybox is not static: install busybox-static"; fi

work=$(mktemp -d)
vm_pid=
finish() {
  [ -z "$vm_pid" ] || kill "$vm_pid" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

# The kernel: its package is fetched and opened, not installed.
kernel_package() {
  apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}
fetch_kernel() {
  local package=$1
  mkdir -p "$cache" "$work/deb"
  (cd "$work/deb" && apt-get -q download "$package" >"$work/fetch.log" 2>&1) || return 1
  dpkg-deb -x "$work"/deb/*.deb "$work/kernel"
  rm -rf "$cache/$package"
  mv "$work/kernel" "$cache/$package"
}
package=$(kernel_package)
[ -n "$package" ] || package=$(cd "$cache" 2>/dev/null && find . -maxdepth 1 -name 'linux-image-*' -printf '%f\n' | sort -V | tail -n 1)
[ -n "$package" ] || skip "apt knows no linux-image-cloud-amd64"
if [ ! -d "$cache/$package" ]; then fetch_kernel "$package" || skip "$package could not be fetched"; fi
kernel=$cache/$package

# What is run, and what goes along.
files=()
if (($#)); then
  printf '%q ' "$@" >"$work/command"
  for word in "$@"; do if [ -f "$word" ]; then files+=("$word"); fi; done
else
  cp "$here/default_command.sh" "$work/command"
  sed -i "s|@BUILD@|$build|" "$work/command"
  for needed in okibi-launcher src/runtime/runtime_test src/runtime/sandbox_probe; do
    [ -x "$build/$needed" ] || skip "$build/$needed is not built"
    files+=("$build/$needed")
  done
fi
# A daemon, if there is one, gets an image to serve.
if [ -x "$build/okibi" ]; then
  for needed in okibi-launcher examples/echo/echo; do
    [ -x "$build/$needed" ] || skip "$build/$needed is not built"
  done
  files+=("$build/okibi" "$build/okibi-launcher")
  "$root/examples/echo/build_image.sh" "$work/echo-image" "$build/examples/echo/echo" >/dev/null
fi
read -r -a more <<<"${OKIBI_VM_FILES:-}"
# What the launcher and the daemon call.
for tool in mkfs.ext4 e2fsck skopeo "${more[@]}"; do
  if path=$(command -v "$tool"); then files+=("$path"); fi
done

disk=$work/root
mkdir -p "$disk"/{dev,etc,proc,root,run,sys,tmp,var/lib} "$disk"/usr/{bin,sbin,lib,lib64}
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$disk/$folder"; done
chmod 1777 "$disk/tmp"
cp "$busybox" "$disk/bin/busybox"
ln -s busybox "$disk/bin/sh"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$disk/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$disk/etc/group"
echo '127.0.0.1 localhost' >"$disk/etc/hosts"
[ ! -d /etc/containers ] || cp -r /etc/containers "$disk/etc/containers"
install -m 755 "$here/vm_init.sh" "$disk/vm_init"
install -m 755 "$work/command" "$disk/vm_command"
install -m 644 "$here/serve_and_invoke.sh" "$disk/usr/bin/serve_and_invoke.sh"
[ ! -d "$work/echo-image" ] || cp -r "$work/echo-image" "$disk/var/lib/echo-image"
((${#files[@]} == 0)) || python3 "$here/gather.py" programs "$disk" "${files[@]}"
truncate -s 6G "$work/root.img"
mkfs.ext4 -q -F -E root_owner=0:0 -O ^has_journal -d "$disk" "$work/root.img"
rm -rf "$disk"

mkdir -p "$work/initramfs"/{bin,dev,root}
cp "$busybox" "$work/initramfs/bin/busybox"
install -m 755 "$here/initramfs_init.sh" "$work/initramfs/init"
python3 "$here/gather.py" modules "$kernel/lib/modules" "$work/initramfs/modules" \
  virtio_pci virtio_blk ext4 crc32c_generic crc32c_intel overlay loop veth 2>"$work/built_in"
(cd "$work/initramfs" && find . | sort | cpio --quiet -o -H newc) >"$work/initramfs.cpio"

touch "$work/console"
timeout --foreground "$seconds" qemu-system-x86_64 -accel "${OKIBI_VM_ACCEL:-tcg}" -cpu max -smp 2 \
  -m "${OKIBI_VM_MEMORY:-2048}" -display none -no-reboot -nodefaults -net none \
  -kernel "$kernel"/boot/vmlinuz-* -initrd "$work/initramfs.cpio" \
  -append "console=ttyS0 quiet panic=-1 cgroup_no_v1=all" \
  -drive "file=$work/root.img,format=raw,if=virtio,cache=unsafe" -serial "file:$work/console" </dev/null &
vm_pid=$!
tail -n +1 -f --pid="$vm_pid" "$work/console"
vm_status=0
wait "$vm_pid" || vm_status=$?
vm_pid=
((vm_status != 124)) || { echo "vm_smoke: out of time after $seconds s"; exit 124; }
status=$(tr -d '\r' <"$work/console" | sed -n 's/^vm_smoke: exit status //p' | tail -n 1)
[ -n "$status" ] || { echo "vm_smoke: the machine ended without a status (qemu $vm_status)"; exit 125; }
exit "$status"
