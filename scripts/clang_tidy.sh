#!/usr/bin/env bash
# clang_tidy.sh [SECONDS] [FILE...]: the checks of .clang-tidy over the sources of src/, launcher/ and shim/ (or FILEs),
# by the release build's compile commands. Changed files come first and the slow network room last; files that
# the time does not reach are named, and are a failure only where FILEs were asked for.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
limit=${1:-480}
[ $# -gt 0 ] && shift
database=build/release/compile_commands.json
[ -f "$database" ] || { echo "no $database: run cmake --preset release first"; exit 1; }

sources() {
  git diff --name-only HEAD -- 'src/*.cc' 'launcher/*.cc' 'shim/*.cc'
  git ls-files -co --exclude-standard -- 'src/*.cc' 'launcher/*.cc' 'shim/*.cc' | grep -v '^src/net/'
  git ls-files -co --exclude-standard -- 'src/net/*.cc'
}

one() {
  if (($(date +%s) >= DEADLINE)); then echo "$1" >>"$UNREACHED"; return 0; fi
  clang-tidy-19 -p build/release --quiet "$1" 2>&1 | grep -v 'warnings\? generated\.$'
  return "${PIPESTATUS[0]}"
}
export -f one
export DEADLINE=$(($(date +%s) + limit))
unreached=$(mktemp)
trap 'rm -f "$unreached"' EXIT
export UNREACHED=$unreached
if [ $# -gt 0 ]; then printf '%s\n' "$@"; else sources | grep -v '_test\.cc$' | awk '!seen[$0]++'; fi |
  while read -r file; do if [ -f "$file" ] && grep -qF "/$file\"" "$database"; then echo "$file"; fi; done |
  xargs -P "$(nproc)" -I{} bash -c 'one {}' || exit 1
if [ -s "$unreached" ]; then
  echo "$(wc -l <"$unreached") files not reached in $limit s"
  exit 77
fi
