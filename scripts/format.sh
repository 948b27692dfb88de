#!/usr/bin/env bash
# format.sh: lays out every C and C++ file by .clang-format. format.sh --check: names those that differ, and fails.
set -euo pipefail
cd "$(dirname "$0")/.."

check() {
  clang-format-19 --dry-run -Werror "$1" 2>/dev/null || { echo "not formatted: $1 (scripts/format.sh mends it)"; return 1; }
}
export -f check
work=(clang-format-19 -i)
if [ "${1:-}" = --check ]; then work=(bash -c 'check "$1"' check); fi
git ls-files -co --exclude-standard -- '*.cc' '*.h' '*.c' | while read -r file; do
  if [ -f "$file" ]; then printf '%s\0' "$file"; fi
done | xargs -0 -n 1 -P "$(nproc)" "${work[@]}"
