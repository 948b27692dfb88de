#include "cli/credentials.h"

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encoding.h"
#include "net/fd.h"

namespace okibi::cli {

namespace {

constexpr std::string_view kHttps = "https://";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<std::string> readAll(int fd) {
  std::string text;
  char buffer[4096];
  while (true) {
    ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failErrno("read credentials", errno);
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
    if (text.size() > 64 * 1024) return fail(ErrorKind::Invalid, "the credentials file is too big");
  }
}

Result<void> writeAll(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return failErrno("write credentials", errno);
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

}  // namespace

Result<Credentials> parseCredentials(std::string_view text) {
  Credentials result;
  int number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    line = trim(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    std::size_t equals = line.find('=');
    std::string_view key = trim(line.substr(0, equals));
    if (equals == std::string_view::npos) {
      return fail(ErrorKind::Invalid, fmt::format("line {}: 'key = value' expected", number));
    }
    std::string value(trim(line.substr(equals + 1)));
    if (key == "endpoint") {
      result.endpoint = value;
    } else if (key == "access_key_id") {
      result.accessKeyId = value;
    } else if (key == "access_key_secret") {
      result.secret = value;
    } else if (key == "security_token") {
      result.token = value;
    } else if (key == "ca") {
      result.authorities = value;
    } else {
      return fail(ErrorKind::Invalid, fmt::format("line {}: unknown key '{}'", number, key));
    }
  }
  return result;
}

std::string toText(const Credentials& c) {
  std::string text = "# Written by `okibi login`.\n";
  if (!c.endpoint.empty()) text += "endpoint = " + c.endpoint + "\n";
  if (!c.accessKeyId.empty()) {
    text += "access_key_id = " + c.accessKeyId + "\naccess_key_secret = " + c.secret + "\n";
  }
  if (!c.token.empty()) text += "security_token = " + c.token + "\n";
  if (!c.authorities.empty()) text += "ca = " + c.authorities + "\n";
  return text;
}

std::string credentialsPath() {
  std::string folder = environment("XDG_CONFIG_HOME");
  if (folder.empty()) folder = environment("HOME") + "/.config";
  return folder + "/okibi/credentials";
}

Result<Credentials> loadCredentials(const std::string& path) {
  net::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return Credentials{};
    return failErrno(path, errno);
  }
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return failErrno(path, errno);
  if ((status.st_mode & 077) != 0) {
    return fail(ErrorKind::Denied,
                path + " holds a secret but others may read it: chmod 600 " + path);
  }
  Result<std::string> text = readAll(file.get());
  if (!text) return fail(text.error());
  Result<Credentials> result = parseCredentials(*text);
  if (!result) return fail(withContext(result.error(), path));
  return result;
}

Result<void> storeCredentials(const std::string& path, const Credentials& credentials) {
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (std::filesystem::create_directories(folder, error)) ::chmod(folder.c_str(), 0700);
  if (error) return fail(ErrorKind::Internal, folder.string() + ": " + error.message());
  std::string temporary = path + ".new";
  ::unlink(temporary.c_str());
  net::UniqueFd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return failErrno(temporary, errno);
  if (Result<void> done = writeAll(file.get(), toText(credentials)); !done) {
    ::unlink(temporary.c_str());
    return done;
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failErrno(path, errno);
  return {};
}

Credentials environmentCredentials() {
  return {environment("OKIBI_ENDPOINT"), environment("OKIBI_ACCESS_KEY_ID"),
          environment("OKIBI_ACCESS_KEY_SECRET"), environment("OKIBI_SECURITY_TOKEN"),
          environment("OKIBI_CA")};
}

Result<Credentials> resolveCredentials(const Credentials& flags, const Credentials& env,
                                       const Credentials& file) {
  Credentials result = env.accessKeyId.empty() && env.secret.empty() ? file : env;
  if (result.accessKeyId.empty() != result.secret.empty()) {
    return fail(ErrorKind::Invalid,
                "an access key has two parts: OKIBI_ACCESS_KEY_ID and OKIBI_ACCESS_KEY_SECRET");
  }
  const auto first = [&](std::string Credentials::* what) {
    if (!(flags.*what).empty()) return flags.*what;
    return (env.*what).empty() ? file.*what : env.*what;
  };
  const std::string endpoint = first(&Credentials::endpoint);
  Result<std::string> normal = normalizeEndpoint(endpoint.empty() ? kDefaultEndpoint : endpoint);
  if (!normal) return fail(normal.error());
  result.endpoint = std::move(*normal);
  result.authorities = first(&Credentials::authorities);
  return result;
}

Result<std::string> normalizeEndpoint(std::string_view text) {
  std::string_view rest = trim(text);
  const bool secure = rest.starts_with(kHttps);
  if (secure) rest.remove_prefix(kHttps.size());
  if (!secure && rest.starts_with("http://")) rest.remove_prefix(7);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.empty() || rest.find_first_of("/ ?#@") != std::string_view::npos) {
    return fail(ErrorKind::Invalid, fmt::format("endpoint '{}': HOST:PORT expected", text));
  }
  std::size_t colon = rest.rfind(':');
  bool hasPort = colon != std::string_view::npos && rest.find(']', colon) == std::string_view::npos;
  const std::string_view port = hasPort ? "" : secure ? ":443" : ":7070";
  return fmt::format("{}{}{}", secure ? kHttps : "", rest, port);
}

Endpoint endpointOf(std::string_view normalized) {
  Endpoint endpoint;
  if (normalized.starts_with(kHttps)) {
    endpoint.scheme = Endpoint::Scheme::Https;
    normalized.remove_prefix(kHttps.size());
  }
  endpoint.authority = normalized;
  endpoint.host = normalized.substr(0, normalized.rfind(':'));
  if (endpoint.host.starts_with('[') && endpoint.host.ends_with(']')) {
    endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
  }
  return endpoint;
}

}  // namespace okibi::cli
