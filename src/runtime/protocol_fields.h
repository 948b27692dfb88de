#pragma once
// The members of each protocol message in wire order, one line each.

#include "runtime/protocol.h"
#include "runtime/wire.h"

namespace okibi::runtime {

template <typename V>
void fields(V& v, Failure& m) {
  v(m.step, m.error, m.detail);
}
template <typename V>
void fields(V& v, DeviceNode& m) {
  v(m.hostPath, m.path);
}
template <typename V>
void fields(V& v, HostMount& m) {
  v(m.hostPath, m.path, m.writable, m.onlyIfThere);
}
template <typename V>
void fields(V& v, SymbolicLink& m) {
  v(m.path, m.target);
}
template <typename V>
void fields(V& v, Devices& m) {
  v(m.hidden, m.directories, m.mounts, m.links, m.nodes, m.groups);
}
template <typename V>
void fields(V& v, ModelDirectory& m) {
  v(m.root, m.subdirectory, m.path);
}
template <typename V>
void fields(V& v, StartRequest& m) {
  v(m.id, m.name, m.layers, m.arguments, m.environment, m.workingDirectory, m.user, m.milliCpu,
    m.memory, m.disk, m.sharedMemory, m.pids, m.devices, m.models);
}
template <typename V>
void fields(V& v, StopRequest& m) {
  v(m.id, m.graceMilliseconds);
}
template <typename V>
void fields(V& v, SocketRequest& m) {
  v(m.id);
}
template <typename V>
void fields(V& v, ExecuteRequest& m) {
  v(m.id, m.execution, m.command);
}
template <typename V>
void fields(V& v, SessionRequest& m) {
  v(m.id, m.execution, m.command, m.terminal, m.columns, m.rows);
}
template <typename V>
void fields(V& v, KillRequest& m) {
  v(m.id, m.execution);
}
template <typename V>
void fields(V&, Ready&) {}
template <typename V>
void fields(V& v, Unable& m) {
  v(m.failure);
}
template <typename V>
void fields(V& v, Launched& m) {
  v(m.id, m.pid, m.freezer);
}
template <typename V>
void fields(V& v, StartFailed& m) {
  v(m.id, m.failure);
}
template <typename V>
void fields(V& v, SocketReply& m) {
  v(m.id, m.error);
}
template <typename V>
void fields(V& v, ExecutionEnded& m) {
  v(m.id, m.execution, m.exitCode, m.signal);
}
template <typename V>
void fields(V& v, Exited& m) {
  v(m.id, m.exitCode, m.signal, m.outOfMemory);
}

}  // namespace okibi::runtime
