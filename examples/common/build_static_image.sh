#!/usr/bin/env bash
# One static binary as an OCI image layout; the examples' build_image.sh call it.
#   build_static_image.sh TARGET BUILT_PATH NAME OUT_LAYOUT [BINARY]
# TARGET makes build/release/BUILT_PATH if that is missing; inside the image the program is /NAME.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
target=$1 built=$2 name=$3
out=${4:?usage: build_image.sh OUT_LAYOUT [BINARY]}
binary=${5:-$root/build/release/$built}
if [ ! -x "$binary" ]; then
  [ $# -lt 5 ] || { echo "no program at $binary" >&2; exit 1; }
  cmake -S "$root" --preset release >/dev/null
  cmake --build "$root/build/release" --target "$target" >/dev/null
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{etc,tmp,proc,sys,dev,run,root,var/empty}
chmod 755 "$work"
chmod 1777 "$work/tmp"
chmod 700 "$work/root"
install -m 755 "$binary" "$work/$name"
cat >"$work/etc/passwd" <<EOF
root:x:0:0:root:/root:/$name
app:x:1000:1000:app:/var/empty:/$name
nobody:x:65534:65534:nobody:/var/empty:/$name
EOF
printf 'root:x:0:\napp:x:1000:\nnogroup:x:65534:\n' >"$work/etc/group"
printf 'hosts: files dns\n' >"$work/etc/nsswitch.conf"
python3 "$root/examples/oci/make_image.py" --out "$out" --layer "$work" --entrypoint "/$name" --workdir / \
  --env PATH=/ --port 9000 --mtime 1700000000
