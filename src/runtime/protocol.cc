#include "runtime/protocol.h"

#include <cstring>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/protocol_fields.h"

namespace okibi::runtime {

namespace {

// The first byte of a message is its index in the variant.
template <typename Variant>
std::string encodeVariant(const Variant& message) {
  std::string bytes(1, static_cast<char>(message.index()));
  bytes += std::visit([](const auto& m) { return wire::encodeFields(m); }, message);
  return bytes;
}

template <typename Variant, std::size_t Index = 0>
Result<Variant> decodeVariant(std::size_t index, std::string_view body) {
  if constexpr (Index == std::variant_size_v<Variant>) {
    return fail(ErrorKind::Invalid, "unknown message type " + std::to_string(index));
  } else {
    if (index != Index) return decodeVariant<Variant, Index + 1>(index, body);
    std::variant_alternative_t<Index, Variant> message;
    if (!wire::decodeFields(body, message)) {
      return fail(ErrorKind::Invalid, "malformed message of type " + std::to_string(index));
    }
    return Variant(std::move(message));
  }
}

template <typename Variant>
Result<Variant> decodeVariant(std::string_view bytes) {
  if (bytes.empty()) return fail(ErrorKind::Invalid, "empty message");
  return decodeVariant<Variant, 0>(static_cast<unsigned char>(bytes[0]), bytes.substr(1));
}

// C strings are what these become; a NUL inside would make the launcher and the kernel disagree.
bool hasNul(const std::string& text) {
  return text.find('\0') != std::string::npos;
}
bool hasNul(const std::vector<std::string>& list) {
  for (const std::string& text : list) {
    if (hasNul(text)) return true;
  }
  return false;
}

// An absolute path of plain parts, so that what is checked is what is opened.
bool isPlainPath(const std::string& path) {
  if (path.size() < 2 || !path.starts_with('/') || path.ends_with('/') || hasNul(path))
    return false;
  return (path + "/").find("/../") == std::string::npos;
}

Result<void> validate(const Devices& m) {
  const auto isIn = [&](const std::string& path) {
    for (const std::string& directory : m.directories) {
      if (path.starts_with(directory + "/")) return true;
    }
    return false;
  };
  std::vector<const std::string*> paths;
  for (const auto* list : {&m.hidden, &m.directories}) {
    for (const std::string& path : *list) paths.push_back(&path);
  }
  for (const HostMount& mount : m.mounts) paths.insert(paths.end(), {&mount.hostPath, &mount.path});
  for (const DeviceNode& node : m.nodes) paths.insert(paths.end(), {&node.hostPath, &node.path});
  for (const std::string* path : paths) {
    if (!isPlainPath(*path)) return fail(ErrorKind::Invalid, "devices: '" + *path + "' is no path");
  }
  for (const SymbolicLink& link : m.links) {
    if (!isPlainPath(link.path) || hasNul(link.target) || link.target.empty() || !isIn(link.path)) {
      return fail(ErrorKind::Invalid, "devices: link '" + link.path + "' is in no new directory");
    }
  }
  for (std::size_t count : {m.hidden.size(), m.directories.size(), m.mounts.size(), m.links.size(),
                            m.nodes.size(), m.groups.size()}) {
    if (count > kDevicesMax) return fail(ErrorKind::Invalid, "devices: too many");
  }
  return {};
}

// "a/b": parts that are none of "", "." and "..", so that a prefix is a directory above.
bool isPlainRelative(std::string_view path) {
  for (std::size_t slash = 0; slash != std::string_view::npos; path.remove_prefix(slash + 1)) {
    slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) break;
  }
  return true;
}

// What the platform mounts itself must stay on top.
bool isPlatforms(const std::string& path) {
  for (std::string_view own : {"/proc/", "/sys/", "/dev/"}) {
    if ((path + "/").starts_with(own)) return true;
  }
  return false;
}

Result<void> validate(const std::vector<ModelDirectory>& models) {
  if (models.size() > kModelDirectoriesMax) return fail(ErrorKind::Invalid, "models: too many");
  for (const ModelDirectory& m : models) {
    const bool plain = (m.subdirectory.empty() || isPlainRelative(m.subdirectory)) &&
                       m.path.starts_with('/') && isPlainRelative(m.path.substr(1));
    if (!plain || isPlatforms(m.path) || m.root.empty() || hasNul(m.root) ||
        hasNul(m.subdirectory) || hasNul(m.path)) {
      return fail(ErrorKind::Invalid, "models: '" + m.subdirectory + "' at '" + m.path +
                                          "' are no paths for a model directory");
    }
  }
  return {};
}

Result<void> validate(const StartRequest& m) {
  if (m.id == 0) return fail(ErrorKind::Invalid, "id: must not be 0");
  if (m.name.empty() || m.name.size() > 64 || m.name.find('/') != std::string::npos) {
    return fail(ErrorKind::Invalid, "name: must be 1 to 64 characters without '/'");
  }
  if (m.layers.empty() || m.layers.size() > kLayersMax) {
    return fail(ErrorKind::Invalid, "layers: must be 1 to " + std::to_string(kLayersMax) +
                                        ", there are " + std::to_string(m.layers.size()));
  }
  for (const std::string& layer : m.layers) {
    if (!layer.starts_with('/')) return fail(ErrorKind::Invalid, "layers: must be absolute paths");
  }
  if (m.arguments.empty()) {
    return fail(ErrorKind::Invalid, "arguments: the image has no entrypoint or command");
  }
  if (!m.workingDirectory.empty() && !m.workingDirectory.starts_with('/')) {
    return fail(ErrorKind::Invalid, "working directory: must be an absolute path");
  }
  if (hasNul(m.name) || hasNul(m.layers) || hasNul(m.arguments) || hasNul(m.environment) ||
      hasNul(m.workingDirectory) || hasNul(m.user)) {
    return fail(ErrorKind::Invalid, "a text has a NUL byte inside");
  }
  if (m.memory == 0 || m.disk == 0 || m.milliCpu == 0 || m.pids == 0) {
    return fail(ErrorKind::Invalid, "memory, disk, cpu and pids: must not be 0");
  }
  if (Result<void> valid = validate(m.devices); !valid) return valid;
  return validate(m.models);
}

Result<void> validateCommand(const std::vector<std::string>& command) {
  if (command.empty()) return fail(ErrorKind::Invalid, "command: is empty");
  if (hasNul(command)) return fail(ErrorKind::Invalid, "command: has a NUL byte inside");
  return {};
}

Result<void> validate(const ExecuteRequest& m) {
  return validateCommand(m.command);
}

Result<void> validate(const SessionRequest& m) {
  const auto fits = [](std::uint32_t size) { return size >= 1 && size <= kTerminalMost; };
  if (m.terminal && (!fits(m.columns) || !fits(m.rows))) {
    return fail(ErrorKind::Invalid,
                "terminal: columns and rows must be 1 to " + std::to_string(kTerminalMost) +
                    ", they are " + std::to_string(m.columns) + " and " + std::to_string(m.rows));
  }
  return validateCommand(m.command);
}

template <typename T>
Result<void> validate(const T&) {
  return {};
}

void closeAll(const std::vector<int>& fds) {
  for (int fd : fds) close(fd);
}

std::vector<int> descriptorsOf(msghdr& header) {
  std::vector<int> fds;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    std::size_t before = fds.size();
    fds.resize(before + count);
    std::memcpy(fds.data() + before, CMSG_DATA(c), count * sizeof(int));
  }
  return fds;
}

}  // namespace

std::string describe(const Failure& failure) {
  std::string text = failure.step + ": " + failure.detail;
  if (failure.error != 0) text += std::string(": ") + std::strerror(failure.error);
  return text;
}

std::string encode(const Request& request) {
  return encodeVariant(request);
}
std::string encode(const Reply& reply) {
  return encodeVariant(reply);
}
std::string encode(const Failure& failure) {
  return wire::encodeFields(failure);
}

Result<Request> decodeRequest(std::string_view bytes) {
  Result<Request> request = decodeVariant<Request>(bytes);
  if (!request) return request;
  Result<void> valid = std::visit([](const auto& m) { return validate(m); }, *request);
  if (!valid) return fail(std::move(valid.error()));
  return request;
}

Result<Reply> decodeReply(std::string_view bytes) {
  return decodeVariant<Reply>(bytes);
}

Result<Failure> decodeFailure(std::string_view bytes) {
  Failure failure;
  if (!wire::decodeFields(bytes, failure)) return fail(ErrorKind::Invalid, "malformed failure");
  return failure;
}

Result<void> sendPacket(int socket, std::string_view bytes, std::span<const int> fds) {
  if (bytes.size() > kPacketMax) {
    return fail(ErrorKind::Invalid, "arguments, environment and layers together exceed " +
                                        std::to_string(kPacketMax) + " bytes");
  }
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kPacketFdsMax)] = {};
  if (!fds.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
  }
  for (;;) {
    if (sendmsg(socket, &header, MSG_NOSIGNAL) >= 0) return {};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return failErrno("send", errno, ErrorKind::Exhausted);
    return failErrno("send", errno, ErrorKind::Unavailable);
  }
}

Result<Packet> receivePacket(int socket) {
  Packet packet;
  // One buffer for the life of the process: both ends receive on one thread.
  static thread_local std::string buffer(kPacketMax, '\0');
  iovec piece{buffer.data(), buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kPacketFdsMax)];
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  ssize_t size;
  do {
    size = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size < 0 && errno == EAGAIN) return fail(ErrorKind::Unavailable, "");
  if (size < 0 && errno == ECONNRESET) size = 0;
  if (size < 0) return failErrno("receive", errno);
  packet.fds = descriptorsOf(header);
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    closeAll(packet.fds);
    return fail(ErrorKind::Invalid, "a packet was cut short");
  }
  packet.bytes.assign(buffer.data(), static_cast<std::size_t>(size));
  packet.endOfStream = size == 0;
  return packet;
}

LaunchStatus readLaunchStatus(std::string_view bytes) {
  LaunchStatus status;
  if (bytes.starts_with(kAboutToExec)) {
    status.outcome = LaunchOutcome::Running;
    bytes.remove_prefix(1);
  }
  if (!bytes.starts_with(kStepFailed)) return status;
  status.outcome = LaunchOutcome::Failed;
  Result<Failure> failure = decodeFailure(bytes.substr(1));
  status.failure = failure ? std::move(*failure) : Failure{"launch", 0, failure.error().message};
  return status;
}

}  // namespace okibi::runtime
