# Inside the test machine: the daemon, a function, calls, and nothing left behind.
#   sh serve_and_invoke.sh BUILD_DIR ECHO_LAYOUT
okibi=$1/okibi
layout=$2
fail() { echo "FAILED: $*"; echo "-- daemon:"; tail -n 40 /run/daemon.log; exit 1; }
# until_true SECONDS COMMAND...
until_true() {
  left=$(($1 * 5))
  shift
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    [ $left -gt 0 ] || return 1
    sleep 0.2
  done
}

"$okibi" serve --state-dir /var/lib/okibi >/run/daemon.log 2>&1 &
daemon=$!
until_true 60 grep -q '^ *Access key secret:' /run/daemon.log || fail "the daemon printed no access key"
OKIBI_ACCESS_KEY_ID=$(sed -n 's/^ *Access key ID: *//p' /run/daemon.log)
OKIBI_ACCESS_KEY_SECRET=$(sed -n 's/^ *Access key secret: *//p' /run/daemon.log)
export OKIBI_ACCESS_KEY_ID OKIBI_ACCESS_KEY_SECRET
until_true 60 "$okibi" ls || fail "the daemon does not answer"

cat >/run/s.yaml <<YAML
edition: 3.0.0
name: smoke
resources:
  echo:
    component: fc3
    props:
      region: cn-hangzhou
      functionName: echo
      runtime: custom-container
      cpu: 0.5
      memorySize: 512
      diskSize: 512
      timeout: 60
      idleTimeout: 15
      instanceConcurrency: 1
      customContainerConfig: {image: "oci:$layout", port: 9000}
      instanceLifecycleConfig: {initializer: {handler: initialize, timeout: 30}}
YAML
"$okibi" deploy -f /run/s.yaml || fail "deploy"
echo "hello from cgroup v2" >/run/body
answer=$("$okibi" invoke echo -f /run/body) || fail "the first call"
[ "$answer" = "hello from cgroup v2" ] || fail "the answer was '$answer'"
"$okibi" invoke echo -f /run/body >/dev/null || fail "the second call"
"$okibi" coldstarts echo
nothing_live() { "$okibi" ps --json >/run/ps && ! grep -q '"echo"' /run/ps; }
if nothing_live; then fail "ps shows no instance right after a call: $(cat /run/ps)"; fi
until_true 60 nothing_live || fail "the idle instance is still there"

kill -TERM $daemon
wait $daemon || fail "the daemon ended with status $?"
left=$(find /sys/fs/cgroup -type d -name 'okibi*')
[ -z "$left" ] || fail "cgroups are left: $left"
if grep -q okibi /proc/mounts; then fail "mounts are left: $(grep okibi /proc/mounts)"; fi
echo "the daemon served, released and ended cleanly"
