#!/usr/bin/env bash
# Installs the Debian 12 packages that Okibi needs, and only those that are missing.
#   scripts/install_packages.sh [build] [run] [test] [examples] [vm]     (default: all groups)
# Needs root, or sudo, only if something is missing.
set -euo pipefail

# What the groups are for: compile; serve (images, sandboxes); test.sh and the benches; the example
# images; the pure cgroup-v2 test machine.
declare -A groups=(
  [build]="clang-19 lld-19 cmake ninja-build ccache pkg-config ca-certificates git python3
    libhowardhinnant-date-dev tzdata libboost1.81-dev libboost-json1.81-dev libssl-dev libsqlite3-dev libseccomp-dev libcap-dev
    libarchive-dev libdeflate-dev zlib1g-dev libzstd-dev libyaml-cpp-dev libcli11-dev libfmt-dev
    libspdlog-dev libre2-dev libgtest-dev libgmock-dev libbenchmark-dev"
  [run]="tzdata skopeo e2fsprogs iproute2 procps curl python3 ca-certificates"
  [test]="libclang-rt-19-dev llvm-19 clang-format-19 clang-tidy-19 umoci crun runc docker-registry wrk jq curl openssl git python3
    nodejs npm universal-ctags"
  [examples]="mmdebstrap docker-registry python3 pkg-config tesseract-ocr-eng libtesseract-dev libleptonica-dev"
  [vm]="qemu-system-x86 busybox-static cpio e2fsprogs python3"
)

if (($# == 0)); then set -- build run test examples vm; fi

# shellcheck disable=SC1091
if ! { [ -r /etc/os-release ] && . /etc/os-release; } || [ "${ID:-}" != debian ] ||
  [ "${VERSION_ID:-}" != 12 ]; then
  echo "install_packages.sh knows the packages of Debian 12 (bookworm) only; this is" \
    "${PRETTY_NAME:-an unknown system}. Install the equivalents of these yourself:" >&2
  for group in "$@"; do echo "$group:" ${groups[$group]:-} >&2; done
  exit 1
fi

wanted=()
for group in "$@"; do
  if [ -z "${groups[$group]:-}" ]; then
    echo "unknown group '$group'; the groups are: build run test examples vm" >&2
    exit 2
  fi
  read -r -d '' -a packages <<<"${groups[$group]}" || true
  wanted+=("${packages[@]}")
done

# A Node.js from elsewhere (18 or newer) is as good as Debian's, and its package conflicts with Debian's npm.
has_node() {
  command -v node >/dev/null && command -v npm >/dev/null &&
    [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ]
}

# What dpkg has, provided names included (zlib1g-dev may be there as another package's Provides).
declare -A present=()
while read -r name; do [ -z "$name" ] || present[$name]=1; done < <(
  dpkg-query -W -f '${db:Status-Status}\t${Package}, ${Provides}\n' 2>/dev/null |
    sed -n 's/^installed\t//p' | tr ',' '\n' | sed 's/^ *//; s/[ :(].*//')

missing=()
for package in "${wanted[@]}"; do
  [ -z "${present[$package]:-}" ] || continue
  case $package in nodejs | npm) if has_node; then continue; fi ;; esac
  missing+=("$package")
  present[$package]=1 # asked for once
done
((${#missing[@]})) || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || {
    echo "These packages are missing, and neither root nor sudo is at hand: ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
"${apt[@]}" update
"${apt[@]}" install --no-install-recommends "${missing[@]}"
