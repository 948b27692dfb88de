#!/usr/bin/env bash
# From a fresh Debian 12 machine to text read off a page by a container that did not exist a second before,
# what that cost, and the container gone again. Everything it starts is ended when it ends.
#   ./quickstart.sh      (OKIBI_PORT, OKIBI_SKIP_INSTALL=1, OKIBI_KEEP=1 keep the state directory)
set -euo pipefail
cd "$(dirname "$0")"

port=${OKIBI_PORT:-7070}
work=$(mktemp -d /tmp/okibi-quickstart.XXXXXX)
log=$work/log
okibi=build/release/okibi
daemon_pid="" registry_pid=""

section() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
show() { printf '\033[2m$ %s\033[0m\n' "$*"; "$@"; }
# quietly WHAT COMMAND...: the output goes to the log; its tail is shown if the command fails.
quietly() {
  local what=$1 began=$SECONDS
  shift
  printf '%-46s' "$what"
  if ! "$@" >>"$log" 2>&1; then echo failed; return 1; fi
  echo "$((SECONDS - began)) s"
}
end_process() {
  if [ -n "$1" ] && kill -TERM "$1" 2>/dev/null; then wait "$1" 2>/dev/null || true; fi
}
leave() {
  local status=$?
  trap - EXIT
  if ((status != 0)); then
    printf '\nThe quickstart stopped (status %s). The end of its logs:\n' "$status"
    for file in "$log" "$work/daemon.log"; do [ ! -f "$file" ] || tail -n 25 "$file" | sed 's/^/  | /'; done
  fi
  end_process "$daemon_pid"
  end_process "$registry_pid"
  if [ -n "${OKIBI_KEEP:-}" ] || ((status != 0)); then echo "Kept: $work"; else rm -rf "$work"; fi
  exit "$status"
}
trap leave EXIT
trap 'exit 130' INT TERM

fail() { echo "$*" >&2; exit 1; }
# wait_until SECONDS COMMAND...
wait_until() {
  local until=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < until)) || return 1
    sleep 0.2
  done
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

section "Build"
[ -n "${OKIBI_SKIP_INSTALL:-}" ] || quietly "Debian packages" scripts/install_packages.sh build run examples
quietly "configure" cmake --preset release
quietly "build okibi and okibi-launcher" cmake --build --preset release --target okibi okibi-launcher

section "Start the daemon, with one simulated card"
if listens "$port"; then fail "127.0.0.1:$port is in use; choose another: OKIBI_PORT=7171 ./quickstart.sh"; fi
"$okibi" serve --listen "127.0.0.1:$port" --state-dir "$work/state" \
  --simulated-cards fc.gpu.tesla.1=1 >"$work/daemon.log" 2>&1 &
daemon_pid=$!
answers() { kill -0 "$daemon_pid" && listens "$port"; }
wait_until 20 answers || fail "the daemon does not listen on 127.0.0.1:$port"
field() { sed -n "s/^ *$1: *//p" "$work/daemon.log" | head -n 1; }
wait_until 5 grep -q '^ *Access key secret:' "$work/daemon.log" || fail "the daemon printed no access key"
export OKIBI_ENDPOINT=http://127.0.0.1:$port
OKIBI_ACCESS_KEY_ID=$(field 'Access key ID')
OKIBI_ACCESS_KEY_SECRET=$(field 'Access key secret')
export OKIBI_ACCESS_KEY_ID OKIBI_ACCESS_KEY_SECRET
echo "okibi serves $OKIBI_ENDPOINT; its first start made the access key $OKIBI_ACCESS_KEY_ID"

section "Build the OCR image and deploy it"
quietly "image: Debian with Tesseract" examples/ocr/build_image.sh "$work/ocr"
image=oci:$work/ocr
if command -v docker-registry >/dev/null; then
  registry_port=$(free_port)
  cat >"$work/registry.yml" <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: 127.0.0.1:$registry_port}
YAML
  docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
  registry_pid=$!
  wait_until 10 listens "$registry_port" || fail "docker-registry does not listen: see $work/registry.log"
  image=127.0.0.1:$registry_port/okibi/ocr:latest
  quietly "push to a registry on loopback" skopeo copy --dest-tls-verify=false "oci:$work/ocr" "docker://$image"
fi
cat >"$work/s.yaml" <<YAML
edition: 3.0.0
name: okibi-quickstart
resources:
  ocr:
    component: fc3
    props:
      region: cn-hangzhou
      functionName: ocr
      runtime: custom-container
      cpu: 0.5
      memorySize: 1024
      diskSize: 512
      timeout: 60
      idleTimeout: 5
      instanceConcurrency: 1
      gpuConfig: {gpuType: fc.gpu.tesla.1, gpuMemorySize: 1024}
      customContainerConfig: {image: "$image", port: 9000}
      instanceLifecycleConfig: {initializer: {handler: initialize, timeout: 60}}
YAML
show "$okibi" deploy -f "$work/s.yaml"

page=examples/ocr/page.png
section "First call: no container exists yet"
show "$okibi" ps
show "$okibi" invoke ocr -v -f "$page"
show "$okibi" coldstarts ocr

section "Second call: the container is warm"
show "$okibi" invoke ocr -v -f "$page"
show "$okibi" ps

section "Five idle seconds later it is gone"
# No instance: an empty JSON list, whatever stands around it.
gone() { "$okibi" ps --json | python3 -c 'import json, sys; d = json.load(sys.stdin); sys.exit(bool(d.get("instances") if isinstance(d, dict) else d))'; }
wait_until 30 gone || fail "the instance is still there 30 s after its last call"
show "$okibi" ps

section "What it cost"
show "$okibi" usage
echo
echo "Your own container next: README.md, \"Deploy your own\"."
