#!/usr/bin/env bash
# Everything that must hold before a change lands. Prints one line per stage and ends with the totals.
#   ./test.sh            all stages
#   ./test.sh --quick    the `dev` build (ASan + UBSan) and its tests only
# Settings: OKIBI_FUZZ_SECONDS (per fuzz target), OKIBI_TIDY_SECONDS (all of clang-tidy),
#           OKIBI_SKIP_INSTALL=1 (packages are there already), OKIBI_JOBS (default: cores).
set -uo pipefail
cd "$(dirname "$0")" || exit 1

jobs=${OKIBI_JOBS:-$(nproc)}
logs=build/test-logs
passed=0 failed=0 skipped=0 gpu_not_run=0
failures=()
case "${1:-}" in
  "") quick=0 ;;
  --quick) quick=1 ;;
  *) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
mkdir -p "$logs"
export CTEST_OUTPUT_ON_FAILURE=1

note_failure() { failed=$((failed + 1)); failures+=("$1"); }
note_skip() { skipped=$((skipped + 1)); echo "  skipped: $1"; }

# run NAME SECONDS COMMAND...: quiet while it works, the log's tail when it does not. Status: the command's.
run() {
  local name=$1 limit=$2 began=$SECONDS status
  shift 2
  timeout --kill-after=20 "$limit" "$@" >"$logs/$name.log" 2>&1
  status=$?
  printf '%-22s %5d s  %s\n' "$name" $((SECONDS - began)) "$(outcome $status)"
  if ((status != 0 && status != 77)); then tail -n 60 "$logs/$name.log" | sed 's/^/    | /'; fi
  return $status
}

outcome() {
  case $1 in 0) echo ok ;; 77) echo skipped ;; 124 | 137) echo "FAILED (out of time)" ;; *) echo "FAILED ($1)" ;; esac
}

# check NAME SECONDS COMMAND...: a stage that counts as one test; 77 means that it could not be tried here.
check() {
  run "$@"
  case $? in 0) passed=$((passed + 1)) ;; 77) note_skip "$1: $(tail -n 1 "$logs/$1.log")" ;; *) note_failure "$1" ;; esac
}

# build PRESET [TARGET...]: configure and build. Only a failure is counted: a build is not a test.
build() {
  local preset=$1
  shift
  run "$preset-configure" 300 cmake --preset "$preset" &&
    run "$preset-build" 2400 cmake --build --preset "$preset" -j "$jobs" ${1:+--target "$@"} && return 0
  note_failure "$preset-build"
  return 1
}

# tests PRESET [CTEST ARGUMENTS...]: each ctest entry counts. GPU tests (label `gpu`) need a driver.
tests() {
  local preset=$1 gpu=() report counts status
  shift
  report=$PWD/$logs/$preset-tests.xml
  rm -f "$report"
  if [ ! -e /dev/nvidiactl ]; then
    gpu=(-LE '^gpu$')
    gpu_not_run=$(ctest --test-dir "build/$preset" -N -L '^gpu$' | sed -n 's/^Total Tests: //p')
  fi
  run "$preset-tests" 1200 ctest --test-dir "build/$preset" --no-tests=error "${gpu[@]}" "$@" \
    --output-junit "$report"
  status=$?
  # A report without a failure beside a status that is one: ctest itself failed, or ran out of time.
  counts=$(python3 scripts/count_tests.py "$report" 2>/dev/null) || counts=""
  if [ -z "$counts" ]; then note_failure "$preset-tests (no report)"; return; fi
  local p f s
  read -r p f s <<<"${counts%%$'\n'*}"
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  printf '  %s passed, %s failed, %s skipped\n' "$p" "$f" "$s"
  while read -r line; do [ -n "$line" ] && failures+=("$preset: $line"); done <<<"$(tail -n +2 <<<"$counts")"
  if ((status != 0 && f == 0)); then note_failure "$preset-tests ($(outcome $status))"; fi
}

# fuzz_one SOURCE SECONDS: fuzz/ROOM/fuzz_X.cc with its seeds, corpus/X or corpus. A finding ends with 1: the 77 it
# would end with by itself means "not tried" here.
fuzz_one() {
  local folder target seeds found
  folder=$(dirname "$1") target=$(basename "$1" .cc)
  seeds=$folder/corpus/${target#fuzz_}
  [ -d "$seeds" ] || seeds=$folder/corpus
  [ -d "$seeds" ] || seeds=
  found=build/fuzz/found/$target
  mkdir -p "$found" build/fuzz/crashes
  check "$target" $(($2 + 120)) "build/fuzz/$folder/$target" -max_total_time="$2" -timeout=20 \
    -rss_limit_mb=3072 -error_exitcode=1 -timeout_exitcode=1 -artifact_prefix="build/fuzz/crashes/$target-" "$found" ${seeds:+"$seeds"}
}

fuzz() {
  local sources targets=() source seconds
  mapfile -t sources < <(find fuzz -name 'fuzz_*.cc' | sort)
  ((${#sources[@]})) || return
  for source in "${sources[@]}"; do targets+=("$(basename "$source" .cc)"); done
  seconds=60
  if ((${#targets[@]} > 4)); then seconds=20; fi
  build fuzz "${targets[@]}" || return
  for source in "${sources[@]}"; do fuzz_one "$source" "${OKIBI_FUZZ_SECONDS:-$seconds}"; done
}

finish() {
  echo
  if ((${#failures[@]})); then printf 'failed: %s\n' "${failures[@]}"; fi
  echo "total time: $((SECONDS / 60)) min $((SECONDS % 60)) s"
  echo "not run: no GPU: $gpu_not_run"
  echo "$passed passed, $failed failed, $skipped skipped"
  exit $((failed > 0))
}

if [ -z "${OKIBI_SKIP_INSTALL:-}" ]; then
  run install 1200 scripts/install_packages.sh build run test examples vm || { note_failure install; finish; }
fi

build dev && tests dev -j "$jobs"
if ((quick)); then finish; fi

# Release tests run one at a time: some compare times.
build release && tests release -j 1
tsan_tests=(net_test ledger_test images_test planner_test conductor_test)
build tsan "${tsan_tests[@]}" && tests tsan -R "^($(IFS='|'; echo "${tsan_tests[*]}"))\$" -j "$jobs"
fuzz
check format 300 scripts/format.sh --check
check clang-tidy $((${OKIBI_TIDY_SECONDS:-720} + 120)) scripts/clang_tidy.sh "${OKIBI_TIDY_SECONDS:-720}"
check vm-smoke 420 scripts/vm_smoke/run.sh
finish
