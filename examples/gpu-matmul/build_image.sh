#!/usr/bin/env bash
# The matmul server as an OCI image layout: the program and the C library it was linked with, nothing of CUDA. The driver's
# library comes from the machine when the function has a gpuConfig.
#   examples/gpu-matmul/build_image.sh OUT_LAYOUT [BINARY]     (BINARY: default build/release/examples/gpu-matmul/gpu_matmul_server)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
out=${1:?usage: build_image.sh OUT_LAYOUT [BINARY]}
binary=${2:-$root/build/release/examples/gpu-matmul/gpu_matmul_server}
if [ ! -x "$binary" ]; then
  [ $# -lt 2 ] || { echo "no program at $binary" >&2; exit 1; }
  cmake -S "$root" --preset release >/dev/null
  cmake --build "$root/build/release" --target gpu_matmul_server >/dev/null
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{etc,tmp,proc,sys,dev,run,var/empty,usr/local/nvidia/lib64}
chmod 755 "$work"
chmod 1777 "$work/tmp"
install -m 755 "$binary" "$work/gpu_matmul_server"
# What the program needs, and what the driver's library opens besides.
{
  ldd "$binary" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^\s*\(\/[^ ]*ld-linux[^ ]*\) .*/\1/p'
  for name in libdl.so.2 libpthread.so.0 librt.so.1 libm.so.6; do ldconfig -p | sed -n "s/^\s*$name .*x86-64.*=> //p"; done
} | sort -u | while read -r library; do
  [ -n "$library" ] || continue
  mkdir -p "$work$(dirname "$library")"
  cp -L "$library" "$work$library"
done
printf 'root:x:0:0:root:/:/gpu_matmul_server\nnobody:x:65534:65534:nobody:/var/empty:/gpu_matmul_server\n' >"$work/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$work/etc/group"
python3 "$root/examples/oci/make_image.py" --out "$out" --layer "$work" --entrypoint /gpu_matmul_server --workdir / \
  --env PATH=/ --env LD_LIBRARY_PATH=/usr/local/nvidia/lib64 --port 9000 --mtime 1700000000
