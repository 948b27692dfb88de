#!/usr/bin/env bash
# The batching server as an OCI image layout.
#   examples/batching/build_image.sh OUT_LAYOUT [BINARY]      (BINARY: default build/release/examples/batching/batching_server)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
out=${1:?usage: build_image.sh OUT_LAYOUT [BINARY]}
binary=${2:-$root/build/release/examples/batching/batching_server}
if [ ! -x "$binary" ]; then
  [ $# -lt 2 ] || { echo "no program at $binary" >&2; exit 1; }
  cmake -S "$root" --preset release >/dev/null
  cmake --build "$root/build/release" --target batching_server >/dev/null
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{etc,tmp,proc,sys,dev,run,root,var/empty}
chmod 755 "$work"
chmod 1777 "$work/tmp"
chmod 700 "$work/root"
install -m 755 "$binary" "$work/batching_server"
cat >"$work/etc/passwd" <<'EOF'
root:x:0:0:root:/root:/batching_server
app:x:1000:1000:app:/var/empty:/batching_server
nobody:x:65534:65534:nobody:/var/empty:/batching_server
EOF
printf 'root:x:0:\napp:x:1000:\nnogroup:x:65534:\n' >"$work/etc/group"
printf 'hosts: files dns\n' >"$work/etc/nsswitch.conf"
python3 "$here/../oci/make_image.py" --out "$out" --layer "$work" --entrypoint /batching_server --workdir / \
  --env PATH=/ --port 9000 --mtime 1700000000
