# The sandbox tests on cgroup v2, then the daemon with real calls where it is built.
build=@BUILD@
"$build/src/runtime/runtime_test" --gtest_brief=1 --gtest_color=no || exit 1
if [ -x "$build/okibi" ]; then exec sh /usr/bin/serve_and_invoke.sh "$build" /var/lib/echo-image; fi
echo "vm_smoke: $build/okibi is not built: the daemon was not tried"
