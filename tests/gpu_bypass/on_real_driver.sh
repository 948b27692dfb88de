#!/usr/bin/env bash
# Runs a test program on this machine's driver: OKIBI_TEST_CUDA, or where libcuda.so.1 usually lies. 77: there is none.
#   on_real_driver.sh PROGRAM [ARGUMENT...]
library=${OKIBI_TEST_CUDA:-}
for folder in /usr/local/nvidia/lib64 /usr/lib/x86_64-linux-gnu /usr/lib64; do
  [ -n "$library" ] || { [ -e "$folder/libcuda.so.1" ] && library=$folder/libcuda.so.1; }
done
if [ -z "$library" ] || [ ! -e /dev/nvidiactl ]; then
  echo "not run: no GPU"
  exit 77
fi
OKIBI_TEST_CUDA=$library exec "$@"
