#!/usr/bin/env bash
# The echo server as an OCI image layout.
#   examples/echo/build_image.sh OUT_LAYOUT [BINARY]      (BINARY: default build/release/examples/echo/echo)
exec "$(dirname "$0")/../common/build_static_image.sh" echo_server examples/echo/echo echo "$@"
