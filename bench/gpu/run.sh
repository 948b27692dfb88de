#!/usr/bin/env bash
# The experiments on a real card: what the design of slices and parking rests on. Needs a C++ compiler and a driver.
#   bench/gpu/run.sh [OUT_FOLDER [NUMBER...]]      (default: build/gpu-experiments, all of 0 to 8 and 11)
# Builds the programs, runs each for less than ten minutes, prints its table and leaves OUT_FOLDER/experiment-N.json and machine.json. Changes no
# setting of a card. Without a card each says "not run: no GPU", and the status is 77.
# Settings: CXX (default clang++-19, clang++, g++), OKIBI_TEST_CUDA (the driver's library), OKIBI_BENCH_MAX_GIB (experiment 3).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
out=${1:-build/gpu-experiments}
[ $# -gt 0 ] && shift
experiments=("$@")
((${#experiments[@]})) || experiments=(0 1 2 3 4 5 6 7 8 11)

if [ ! -e /dev/nvidiactl ] && [ -z "${OKIBI_TEST_CUDA:-}" ]; then
  for number in "${experiments[@]}"; do echo "experiment $number: not run: no GPU"; done
  exit 77
fi

mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)
bin=$out/bin
mkdir -p "$bin"
export OKIBI_BENCH_OUT=$out
compiler=${CXX:-}
for name in clang++-19 clang++ g++; do [ -n "$compiler" ] || compiler=$(command -v $name || true); done
[ -n "$compiler" ] || { echo "no C++ compiler: set CXX" >&2; exit 1; }

compile() { # PROGRAM SOURCE...
  local program=$1
  shift
  "$compiler" -std=c++23 -O2 -I. -o "$bin/$program" "$@" -ldl -pthread || { echo "cannot build $program" >&2; exit 1; }
}

compile gpu_target bench/gpu/gpu_target.cc
for number in "${experiments[@]}" 3; do
  [ "$number" = 8 ] || compile "experiment_$number" "bench/gpu/experiment_$number.cc"
done

# The driver's library as a file: experiment 8 makes a front of it.
driver_file() {
  local name=${OKIBI_TEST_CUDA:-}
  [ -n "$name" ] || name=$(ldconfig -p | sed -n 's/^\s*libcuda\.so\.1 .*x86-64.*=> //p' | head -n 1)
  for folder in /usr/local/nvidia/lib64 /usr/lib/x86_64-linux-gnu /usr/lib64; do
    [ -n "$name" ] || { [ -e "$folder/libcuda.so.1" ] && name=$folder/libcuda.so.1; }
  done
  [ -n "$name" ] && readlink -f "$name"
}

# The shim with no build system: nothing of C++'s runtime in it.
prepare_shim() {
  local real=$1
  compile okibi-shim-front shim/main.cc shim/elf_exports.cc shim/front_writer.cc
  "$compiler" -std=c++23 -O2 -I. -fPIC -shared -fno-exceptions -fno-rtti -fvisibility=hidden -fno-threadsafe-statics \
    -fno-stack-protector -nodefaultlibs -Wl,-z,nodelete,-z,now -o "$bin/libokibi_shim.so" \
    shim/{allocation,bind,budget,ledger,process}.cc shim/hooks_*.cc -Wl,--no-as-needed -l:libdl.so.2 -lc -lgcc || return 1
  mkdir -p "$bin/front"
  # A fake driver keeps its machine beside the name it is opened by.
  "$bin/okibi-shim-front" cuda "$real" "$bin/front/libcuda.so.1" "$bin/libokibi_shim.so" "${OKIBI_TEST_CUDA:-$real}" "$bin/budget" &&
    ln -sf libcuda.so.1 "$bin/front/libcuda.so"
}

printf '{"machine":"%s","kernel":"%s","library":"%s","driver":"%s","cards":"%s","date":"%s"}\n' "$(hostname)" "$(uname -r)" \
  "${OKIBI_TEST_CUDA:-libcuda.so.1}" \
  "$(sed -n 's/.*Module *\([0-9.]*\) .*/\1/p' /proc/driver/nvidia/version 2>/dev/null)" \
  "$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | paste -sd,)" "$(date -u +%FT%TZ)" >"$out/machine.json"

status=0
for number in "${experiments[@]}"; do
  if [ "$number" = 8 ]; then
    real=$(driver_file)
    compile experiment_8 bench/gpu/experiment_8.cc shim/budget.cc
    cp bench/gpu/experiment_8_torch.py "$bin/"
    prepare_shim "$real" || { echo "experiment 8: the shim cannot be built" >&2; status=1; continue; }
    timeout --kill-after=10 590 "$bin/experiment_8" "$bin/front/libcuda.so.1" "$bin/budget"
  else
    timeout --kill-after=10 590 "$bin/experiment_$number"
  fi
  case $? in
    0) ;;
    77) echo "experiment $number: not run: no GPU" ;;
    124 | 137) echo "experiment $number: cut off after 590 s" >&2; status=1 ;;
    *) echo "experiment $number: failed" >&2; status=1 ;;
  esac
done
exit $status
