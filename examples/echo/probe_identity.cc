// Who the process is: identity, capabilities, namespaces, mounts, and the files it can reach.
#include <cerrno>
#include <cstring>

#include "probe_support.h"
#include "probes.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace echo {
namespace {

constexpr size_t kMaxFile = 8u << 20;

// The value of a `Name:\tvalue` line of /proc/self/status.
std::string statusLine(const std::string& status, std::string_view name) {
  const std::string key = "\n" + std::string(name) + ":";
  const size_t at = status.find(key);
  if (at == status.npos) return "";
  const size_t begin = status.find_first_not_of(" \t", at + key.size());
  return status.substr(begin, status.find('\n', begin) - begin);
}

JsonArray lines(const std::string& text) {
  JsonArray array;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    array.add(std::string_view(text).substr(at, end - at));
    at = end + 1;
  }
  return array;
}

// Runs `attempt` in a child, so that its success changes nothing here; its errno, 0 for success.
template <typename Attempt>
int errnoInChild(Attempt attempt) {
  const pid_t child = fork();
  if (child < 0) return errno;
  if (child == 0) _exit(attempt() == 0 ? 0 : errno);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

std::string linkTarget(const std::string& path) {
  char target[512];
  const ssize_t size = readlink(path.c_str(), target, sizeof target);
  return size > 0 ? std::string(target, static_cast<size_t>(size)) : "";
}

JsonObject namespaces() {
  JsonObject object;
  for (const char* name : {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"})
    object.add(name, linkTarget(std::string("/proc/self/ns/") + name));
  return object;
}

JsonObject limits() {
  JsonObject object;
  for (const auto& [name, resource] :
       {std::pair{"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC}, {"core", RLIMIT_CORE}}) {
    rlimit limit{};
    getrlimit(resource, &limit);
    object.add(name, static_cast<int64_t>(limit.rlim_cur));
  }
  return object;
}

JsonObject attempts() {
  const int users = errnoInChild([] { return unshare(CLONE_NEWUSER); });
  const int mounts = errnoInChild([] { return unshare(CLONE_NEWNS); });
  // A file system type that does not exist: the kernel asks for the right to mount first (EPERM)
  // and only then for the type (ENODEV), so that a success is impossible and the machine stays as
  // it is.
  const int mounting =
      errnoInChild([] { return mount("none", "/", "echo-no-such-type", 0, nullptr); });
  const int device = errnoInChild([] {
    return mknod("/tmp/echo-device", S_IFBLK | 0600, 0x0801) == 0 ? unlink("/tmp/echo-device") : -1;
  });
  JsonObject object;
  object.add("unshareUser", users).add("unshareMount", mounts);
  object.add("mount", mounting).add("mknod", device);
  return object;
}

}  // namespace

Reply jsonReply(const JsonObject& object, int status) {
  Reply reply;
  reply.status = status;
  reply.headers.emplace_back("Content-Type", "application/json");
  reply.body = object.done() + '\n';
  return reply;
}

std::optional<std::string> readFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return std::nullopt;
  std::string text;
  char buffer[16384];
  ssize_t got = 0;
  while (text.size() < kMaxFile && (got = read(file, buffer, sizeof buffer)) > 0)
    text.append(buffer, static_cast<size_t>(got));
  const int error = errno;
  close(file);
  errno = error;
  if (got < 0 && text.empty()) return std::nullopt;
  return text;
}

void addError(JsonObject& object, int error) {
  object.add("errno", error).add("error", error == 0 ? "ok" : strerror(error));
}

Reply probeWhoAmI() {
  const std::string status = readFile("/proc/self/status").value_or("");
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  char directory[4096] = "";
  if (getcwd(directory, sizeof directory) == nullptr) directory[0] = '\0';
  JsonObject object;
  object.add("pid", getpid()).add("ppid", getppid()).add("hostname", host).add("cwd", directory);
  object.add("uid", getuid()).add("gid", getgid()).add("groups", statusLine(status, "Groups"));
  for (const char* name : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    object.add(name, statusLine(status, name));
  object.add("seccomp", statusLine(status, "Seccomp"));
  object.add("noNewPrivileges", statusLine(status, "NoNewPrivs"));
  object.addRaw("limits", limits().done()).addRaw("namespaces", namespaces().done());
  object.addRaw("attempts", attempts().done());
  object.addRaw("mounts", lines(readFile("/proc/self/mountinfo").value_or("")).done());
  object.addRaw("cgroup", lines(readFile("/proc/self/cgroup").value_or("")).done());
  object.addRaw("interfaces", lines(readFile("/proc/net/dev").value_or("")).done());
  return jsonReply(object);
}

Reply probeEnvironment() {
  JsonObject object;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    object.add(text.substr(0, equals), equals == text.npos ? "" : text.substr(equals + 1));
  }
  return jsonReply(object);
}

Reply probeRead(const Request& request) {
  const std::string path = request.text("path");
  if (auto text = readFile(path)) {
    Reply reply;
    reply.body = std::move(*text);
    return reply;
  }
  const int error = errno;
  JsonObject object;
  addError(object.add("path", path), error);
  return jsonReply(object, error == ENOENT ? 404 : 403);
}

Reply probeWrite(const Request& request) {
  const std::string path = request.text("path");
  int error = 0;
  ssize_t wrote = 0;
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) error = errno;
  if (file >= 0 && (wrote = write(file, request.body.data(), request.body.size())) < 0)
    error = errno;
  if (file >= 0 && close(file) < 0) error = errno;
  JsonObject object;
  addError(object.add("path", path).add("written", wrote), error);
  return jsonReply(object);
}

Reply probeList(const Request& request) {
  const std::string path = request.text("path", "/");
  JsonArray names;
  DIR* directory = opendir(path.c_str());
  const int error = directory == nullptr ? errno : 0;
  while (directory != nullptr) {
    const dirent* entry = readdir(directory);
    if (entry == nullptr) break;
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      names.add(entry->d_name);
  }
  if (directory != nullptr) closedir(directory);
  JsonObject object;
  object.add("path", path).addRaw("names", names.done());
  addError(object, error);
  return jsonReply(object, error == 0 ? 200 : 404);
}

}  // namespace echo
