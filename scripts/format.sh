#!/usr/bin/env bash
# format.sh: lays out every C and C++ file by .clang-format. format.sh --check: only reports, fails on a difference.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=(-i)
if [ "${1:-}" = --check ]; then mode=(--dry-run -Werror); fi
git ls-files -co --exclude-standard -- '*.cc' '*.h' '*.c' | while read -r file; do
  if [ -f "$file" ]; then printf '%s\0' "$file"; fi
done | xargs -0 clang-format-19 "${mode[@]}"
