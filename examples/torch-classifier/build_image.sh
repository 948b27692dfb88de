#!/usr/bin/env bash
# The classifier as an OCI image layout: a root file system with Python and PyTorch, and the program with its weights.
#   examples/torch-classifier/build_image.sh OUT_LAYOUT [BASE]
# BASE is a directory or a tar with a root file system in which `python3 -c "import torch"` works. For a card it must hold a
# PyTorch built for CUDA: the unpacked rootfs of any such image will do. Without BASE it is Debian's own PyTorch, which knows no card:
# good for trying batching on a CPU. That one is kept under build/images (OKIBI_IMAGE_CACHE).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
out=${1:?usage: build_image.sh OUT_LAYOUT [BASE]}
cache=${OKIBI_IMAGE_CACHE:-$root/build/images}
base=${2:-$cache/torch-base.tar}

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT

# The machine's own Debian sources, whatever mirror they name.
sources() {
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' 'Origin: Debian' 'Component: main' 2>/dev/null | sort -u | sed 's/^/deb /'
}

if [ $# -lt 2 ] && [ ! -f "$base" ]; then
  mkdir -p "$cache"
  apt-config dump | grep -E '^Acquire::(https?|ftp|Retries)\b.*"..*"' >"$work/network.conf" || true
  sources >"$work/sources"
  [ -s "$work/sources" ] || { echo "apt knows no Debian source: run apt-get update" >&2; exit 1; }
  mmdebstrap --quiet --variant=apt --format=tar --include=python3,python3-torch --aptopt="$work/network.conf" \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --dpkgopt='path-exclude=/usr/share/man/*' \
    bookworm "$base.partial" - <"$work/sources"
  mv "$base.partial" "$base"
fi
[ -e "$base" ] || { echo "no root file system at $base" >&2; exit 1; }

mkdir -p "$work/app/app" "$work/root"
chmod 755 "$work/app" "$work/app/app"
install -m 644 "$here"/{batcher,model,server}.py "$work/app/app/"
# The weights are made by the PyTorch of the base, in it: formats differ between versions.
if [ -d "$base" ]; then cp -a "$base/." "$work/root/"; else tar -xf "$base" -C "$work/root"; fi
mkdir -p "$work/root/make"
cp "$here"/{model,make_weights}.py "$work/root/make/"
PYTHONDONTWRITEBYTECODE=1 chroot "$work/root" python3 /make/make_weights.py /make/weights.pt
install -m 644 "$work/root/make/weights.pt" "$work/app/app/"
python3 "$root/examples/oci/make_image.py" --out "$out" --layer "$base" --layer "$work/app" --entrypoint python3 \
  --entrypoint /app/server.py --workdir /app --env PATH=/usr/local/bin:/usr/bin:/bin --env PYTHONUNBUFFERED=1 \
  --env LD_LIBRARY_PATH=/usr/local/nvidia/lib64 --port 9000
