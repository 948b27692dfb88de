#!/usr/bin/env bash
# The batching server as an OCI image layout.
#   examples/batching/build_image.sh OUT_LAYOUT [BINARY]      (BINARY: default build/release/examples/batching/batching_server)
exec "$(dirname "$0")/../common/build_static_image.sh" batching_server examples/batching/batching_server batching_server "$@"
