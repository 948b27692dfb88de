#!/usr/bin/env bash
# The echo server as an OCI image layout.
#   examples/echo/build_image.sh OUT_LAYOUT [BINARY]      (BINARY: default build/release/examples/echo/echo)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
out=${1:?usage: build_image.sh OUT_LAYOUT [BINARY]}
binary=${2:-$root/build/release/examples/echo/echo}
if [ ! -x "$binary" ]; then
  [ $# -lt 2 ] || { echo "no program at $binary" >&2; exit 1; }
  cmake -S "$root" --preset release >/dev/null
  cmake --build "$root/build/release" --target echo_server >/dev/null
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{etc,tmp,proc,sys,dev,run,root,var/empty}
chmod 755 "$work"
chmod 1777 "$work/tmp"
chmod 700 "$work/root"
install -m 755 "$binary" "$work/echo"
cat >"$work/etc/passwd" <<'EOF'
root:x:0:0:root:/root:/echo
app:x:1000:1000:app:/var/empty:/echo
nobody:x:65534:65534:nobody:/var/empty:/echo
EOF
printf 'root:x:0:\napp:x:1000:\nnogroup:x:65534:\n' >"$work/etc/group"
printf 'hosts: files dns\n' >"$work/etc/nsswitch.conf"
python3 "$here/../oci/make_image.py" --out "$out" --layer "$work" --entrypoint /echo --workdir / \
  --env PATH=/ --port 9000 --mtime 1700000000
