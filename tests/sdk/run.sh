#!/bin/bash
# run.sh [PRESET]: the official npm SDK against a daemon of our own, started and ended here.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/build/${1:-release}
work=$(mktemp -d)
daemon=
finish() {
  if [[ -n $daemon ]]; then kill "$daemon" 2>/dev/null || true; wait "$daemon" || true; fi
  rm -rf "$work"
}
trap finish EXIT

mkdir -p "$root/build/sdk-test"
cp "$root"/tests/sdk/{package.json,package-lock.json,sdk.test.js} "$root/build/sdk-test/"
(cd "$root/build/sdk-test" && npm ci --silent --no-audit --no-fund)
: "${OKIBI_IMAGE:?set OKIBI_IMAGE to the echo image (oci:/path:latest)}"

port=$(node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})')
"$build/okibi" serve --listen "127.0.0.1:$port" --state-dir "$work/state" \
  --simulated-cards fc.gpu.tesla.1=2 >"$work/out" 2>"$work/err" &
daemon=$!
for _ in $(seq 100); do
  grep -q 'listening on' "$work/out" && break
  kill -0 "$daemon" 2>/dev/null || { cat "$work/err"; exit 1; }
  sleep 0.1
done
export OKIBI_IMAGE OKIBI_ENDPOINT=127.0.0.1:$port
OKIBI_KEY_ID=$(sed -n 's/.*Access key ID: *//p' "$work/out")
OKIBI_KEY_SECRET=$(sed -n 's/.*Access key secret: *//p' "$work/out")
export OKIBI_KEY_ID OKIBI_KEY_SECRET
cd "$root/build/sdk-test" && node --test sdk.test.js
