#!/bin/bash
# run.sh BUILD_DIR ECHO_BINARY [TEST_FILE...]: the official npm SDK against a daemon of our own, started and ended here.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:?usage: run.sh BUILD_DIR ECHO_BINARY [TEST_FILE...]}
echo_binary=${2:?usage: run.sh BUILD_DIR ECHO_BINARY [TEST_FILE...]}
shift 2
[ "$(id -u)" -eq 0 ] || { echo "sandboxes need root"; exit 77; }
command -v npm >/dev/null || { echo "npm is missing (scripts/install_packages.sh test)"; exit 77; }
work=$(mktemp -d)
daemon=
finish() {
  if [[ -n $daemon ]]; then kill "$daemon" 2>/dev/null || true; wait "$daemon" || true; fi
  rm -rf "$work"
}
trap finish EXIT

modules=$build/sdk-test
mkdir -p "$modules"
rm -f "$modules"/*.js
cp "$root"/tests/sdk/{package.json,package-lock.json,*.js} "$modules/"
(cd "$modules" && npm ci --silent --no-audit --no-fund)
"$root/examples/echo/build_image.sh" "$work/echo" "$echo_binary" >/dev/null
OKIBI_IMAGE=oci:$work/echo:latest
mkdir -p "$work/models/v1" "$work/private"
printf 'of v1' >"$work/models/v1/weights"

"$build/okibi" serve --listen 127.0.0.1:0 --state-dir "$work/state" \
  --simulated-cards fc.gpu.tesla.1=2 --layout-root "$work" \
  --model-root "weights=$work/models" --model-root "private=$work/private:2000000000000002" >"$work/out" 2>"$work/err" &
daemon=$!
for _ in $(seq 600); do
  grep -q 'listening on' "$work/out" && break
  kill -0 "$daemon" 2>/dev/null || { cat "$work/err"; exit 1; }
  sleep 0.1
done
grep -q 'listening on' "$work/out" || { echo "the daemon did not listen within 60 s"; cat "$work/err"; exit 1; }
export OKIBI_IMAGE OKIBI_OPENAPI=$root/docs/openapi.json
OKIBI_ENDPOINT=$(sed -n 's/^listening on *//p' "$work/out")
OKIBI_KEY_ID=$(sed -n 's/.*Access key ID: *//p' "$work/out")
OKIBI_KEY_SECRET=$(sed -n 's/.*Access key secret: *//p' "$work/out")
export OKIBI_ENDPOINT OKIBI_KEY_ID OKIBI_KEY_SECRET
cd "$modules"
# One file after the other: they share one machine and its two cards.
for file in "${@:-}"; do
  [ -n "$file" ] || { set -- *.test.js; break; }
done
failed=0
for file in "$@"; do node --test "$file" || failed=1; done
if ((failed)); then tail -40 "$work/err"; fi
exit $failed
