# The sandbox tests on cgroup v2, then the daemon with one call.
build=@BUILD@
if [ -x "$build/src/runtime/runtime_test" ]; then
  "$build/src/runtime/runtime_test" --gtest_brief=1 --gtest_color=no || exit 1
fi
