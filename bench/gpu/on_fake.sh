#!/usr/bin/env bash
# Runs one experiment on the fake driver and looks for what must be in its table.   on_fake.sh FAKE_CUDA PROGRAM
set -euo pipefail
fake=$1 program=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/machine"
ln -s "$fake" "$work/libcuda.so.1"
OKIBI_TEST_CUDA=$work/libcuda.so.1 OKIBI_BENCH_OUT=$work "$program" | tee "$work/table"
python3 -m json.tool "$work/experiment-$OKIBI_EXPERIMENT.json" >/dev/null
case $OKIBI_EXPERIMENT in
  4) wanted=("20 of 20 equal") ;;
  5) wanted=("600 CUDA_ERROR_NOT_READY" "801 CUDA_ERROR_NOT_SUPPORTED" "304 CUDA_ERROR_OPERATING_SYSTEM" "SIGKILL while parked") ;;
esac
for text in "${wanted[@]}"; do grep -qF "$text" "$work/table" || { echo "not in the table: $text" >&2; exit 1; }; done
