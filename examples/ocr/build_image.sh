#!/usr/bin/env bash
# The OCR server with Debian's Tesseract and English model, as an OCI image layout.
#   examples/ocr/build_image.sh OUT_LAYOUT [BINARY]     (BINARY: default build/release/examples/ocr/ocr_server)
# Two layers: Debian's packages, which change rarely, and the program. The first is cached under
# build/images (OKIBI_IMAGE_CACHE) and made again when this list, the packages on offer or make_image.py change.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
out=${1:?usage: build_image.sh OUT_LAYOUT [BINARY]}
binary=${2:-$root/build/release/examples/ocr/ocr_server}
cache=${OKIBI_IMAGE_CACHE:-$root/build/images}
packages=(libtesseract5 liblept5 tesseract-ocr-eng libstdc++6 libgomp1 base-files base-passwd dash coreutils)

if [ ! -x "$binary" ]; then
  [ $# -lt 2 ] || { echo "no program at $binary" >&2; exit 1; }
  cmake -S "$root" --preset release >/dev/null
  cmake --build "$root/build/release" --target ocr_server >/dev/null
fi

# The machine's own Debian sources, whatever mirror or snapshot they name; its other repositories are
# none of the image's business. Its proxy and TLS settings go along.
sources() {
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' 'Origin: Debian' 'Component: main' 2>/dev/null | sort -u | sed 's/^/deb /'
}
network_options() { apt-config dump | grep -E '^Acquire::(https?|ftp|Retries)\b.*"..*"' || true; }

base=$cache/ocr-base.tar
key=$({ printf '%s\n' "${packages[@]}"; sources; dpkg --print-architecture
  apt-cache policy "${packages[@]}" | grep -E '^[a-z]|Candidate'; sed -n '/^make_base/,/^}/p' "$0"; } | sha256sum)
make_base() {
  local work=$1 lines
  lines=$(sources)
  network_options >"$work/network.conf"
  [ -n "$lines" ] || { echo "apt knows no Debian source: run apt-get update" >&2; return 1; }
  # `extract`: the packages' files and no maintainer scripts, so neither daemons nor accounts nor caches.
  mmdebstrap --quiet --variant=extract --format=directory --include="$(IFS=,; echo "${packages[*]}")" \
    --aptopt="$work/network.conf" --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    bookworm "$work/root" - <<<"$lines"
  (
    cd "$work/root"
    ldconfig -r .
    cp usr/share/base-passwd/passwd.master etc/passwd
    cp usr/share/base-passwd/group.master etc/group
    rm -rf var/cache/* var/lib/apt var/lib/dpkg var/log/* var/backups usr/share/locale usr/share/man \
      usr/share/info usr/share/lintian usr/share/bug usr/share/perl* etc/apt tmp/* run/* boot home media mnt srv opt
    # Documentation goes, licences stay.
    find usr/share/doc -mindepth 2 ! -name copyright -not -type d -delete
    find usr/share/doc -type d -empty -delete
    find usr/share/tesseract-ocr -name 'osd.traineddata' -delete
  )
  tar --sort=name --numeric-owner --xattrs --xattrs-include='security.capability' -C "$work/root" -cf "$base.partial" .
  mv "$base.partial" "$base"
}

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
mkdir -p "$cache"
exec 9>"$cache/ocr-base.lock"
flock 9
if [ ! -f "$base" ] || [ "$(cat "$base.key" 2>/dev/null)" != "$key" ]; then
  rm -f "$base.key"
  make_base "$work"
  printf '%s\n' "$key" >"$base.key"
fi

# A program linked against a library the packages lack would fail only at its first start.
tar -tf "$base" >"$work/files"
for library in $(LC_ALL=C readelf -d "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
  grep -qE "/${library//+/\\+}$" "$work/files" ||
    { echo "$binary needs $library, which no package of the image has" >&2; exit 1; }
done

# The image is made again only for another base, program or recipe.
inputs=$({ cat "$base.key"; sha256sum <"$binary"; sha256sum <"$here/../oci/make_image.py"; sha256sum <"$0"; } | sha256sum)
made=$cache/ocr-image
if [ ! -f "$made/index.json" ] || [ "$(cat "$made.key" 2>/dev/null)" != "$inputs" ]; then
  rm -f "$made.key"
  mkdir -p "$work/app/usr/local/bin"
  chmod 755 "$work/app" "$work/app/usr" "$work/app/usr/local" "$work/app/usr/local/bin"
  install -m 755 "$binary" "$work/app/usr/local/bin/ocr_server"
  python3 "$here/../oci/make_image.py" --out "$made" --layer "$base" --layer "$work/app" \
    --entrypoint /usr/local/bin/ocr_server --workdir / --env PATH=/usr/local/bin:/usr/bin:/bin \
    --env OMP_THREAD_LIMIT=1 --env LANG=C.UTF-8 --port 9000 >/dev/null
  printf '%s\n' "$inputs" >"$made.key"
fi
if [ -e "$out" ] && [ ! -f "$out/oci-layout" ] && [ -n "$(ls -A "$out")" ]; then
  echo "'$out' exists and is not an OCI image layout" >&2
  exit 1
fi
rm -rf "$out"
mkdir -p "$(dirname "$out")"
cp -r "$made" "$out"
echo "$out: $(du -sh "$out" | cut -f1)"
