// A registry, through skopeo: it knows authentication, mirrors and proxies of the real world.

#include <cstdlib>

#include <boost/json.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/encoding.h"
#include "images/child_process.h"
#include "images/files.h"
#include "images/image_limits.h"
#include "images/image_source.h"

namespace okibi::images {

namespace fs = std::filesystem;

namespace {

std::vector<std::string> toolEnvironment() {
  std::vector<std::string> result;
  // What a registry behind a proxy or with a private authority needs; nothing else leaks.
  for (const char* name :
       {"PATH", "HOME", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy",
        "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"}) {
    if (const char* value = std::getenv(name)) result.push_back(std::string(name) + "=" + value);
  }
  return result;
}

// The host part, as an authentication file is keyed.
std::string registryHost(const std::string& repository) {
  const std::size_t slash = repository.find('/');
  const std::string first = repository.substr(0, slash);
  const bool host = slash != std::string::npos &&
                    (first.contains('.') || first.contains(':') || first == "localhost");
  return host ? first : "docker.io";
}

class RegistrySource : public ImageSource {
 public:
  RegistrySource(RegistryReference reference, std::optional<RegistryAuth> auth,
                 SourceOptions options, std::function<bool()> tick)
      : reference_(std::move(reference)),
        auth_(std::move(auth)),
        options_(std::move(options)),
        tick_(std::move(tick)) {}

  Result<std::string> manifest(const std::optional<Digest>& digest) override {
    return inspect({"inspect", "--raw"}, digest ? reference_.pinned(*digest) : reference_.text(),
                   kManifestMax);
  }

  Result<std::string> config(const Digest& manifest, const Descriptor&) override {
    return inspect({"inspect", "--raw", "--config"}, reference_.pinned(manifest), kConfigMax);
  }

  Result<void> fetchLayers(const LayerFetch& fetch) override {
    std::vector<std::string> arguments = {"copy", "--quiet", "--retry-times", "2"};
    if (reference_.loopback) arguments.push_back("--src-tls-verify=false");
    arguments.insert(arguments.end(), {"--dest-oci-accept-uncompressed-layers",
                                       "--dest-shared-blob-dir", fetch.blobs.string()});
    Result<std::string> output = run(std::move(arguments), "--src-authfile",
                                     {"docker://" + reference_.pinned(fetch.manifest),
                                      "oci:" + fetch.staging.string() + ":image"},
                                     {kFetchTimeout, Bytes::mib(1), toolEnvironment(), fetch.tick});
    if (!output) return fail(std::move(output.error()));
    return {};
  }

 private:
  Result<std::string> inspect(std::vector<std::string> arguments, const std::string& name,
                              Bytes max) {
    arguments.insert(arguments.end(), {"--retry-times", "2"});
    if (reference_.loopback) arguments.push_back("--tls-verify=false");
    return run(std::move(arguments), "--authfile", {"docker://" + name},
               {kInspectTimeout, max, toolEnvironment(), tick_});
  }

  Result<std::string> run(std::vector<std::string> arguments, const std::string& authOption,
                          const std::vector<std::string>& names, const ChildOptions& options) {
    Result<TemporaryDirectory> secrets = TemporaryDirectory::make(options_.temporary);
    if (!secrets) return fail(std::move(secrets.error()));
    const fs::path authFile = secrets->path() / "auth.json";
    if (Result<void> written = writeAuth(authFile); !written)
      return fail(std::move(written.error()));
    arguments.insert(arguments.begin(), options_.skopeo);
    // Debian's package brings a policy; skopeo refuses to work without any.
    if (!fs::exists("/etc/containers/policy.json")) {
      arguments.insert(arguments.begin() + 1, "--insecure-policy");
    }
    arguments.insert(arguments.end(), {authOption, authFile.string()});
    arguments.insert(arguments.end(), names.begin(), names.end());
    Result<ChildResult> result = runChild(arguments, options);
    if (!result) return fail(explainStart(std::move(result.error())));
    if (result->exitCode != 0) return fail(explainSkopeo(reference_.text(), result->errors));
    return std::move(result->output);
  }

  Error explainStart(Error error) const {
    if (error.kind == ErrorKind::NotFound) {
      return {ErrorKind::Unavailable,
              "skopeo is not installed; pulling from registries needs it (apt install skopeo)",
              {}};
    }
    if (error.kind == ErrorKind::TimedOut) {
      return {
          ErrorKind::Unavailable, "registry of " + reference_.text() + ": " + error.message, {}};
    }
    return withContext(std::move(error), reference_.text());
  }

  // An empty file, when there are no credentials, keeps logins of the host's users out of it.
  Result<void> writeAuth(const fs::path& path) const {
    boost::json::object auths;
    if (auth_) {
      const std::string pair = toBase64(auth_->user + ":" + auth_->password);
      auths[registryHost(reference_.repository)] = boost::json::object{{"auth", pair}};
    }
    return writeFileDurably(path, boost::json::serialize(boost::json::object{{"auths", auths}}));
  }

  RegistryReference reference_;
  std::optional<RegistryAuth> auth_;
  SourceOptions options_;
  std::function<bool()> tick_;
};

// The msg of skopeo's last `level=fatal msg="…"` line, unescaped; else the last line.
std::string lastWords(const std::string& errors) {
  const std::size_t fatal = errors.rfind("msg=\"");
  if (fatal == std::string::npos) {
    std::string text = errors;
    while (text.ends_with('\n')) text.pop_back();
    return text.substr(text.rfind('\n') + 1);
  }
  std::string message;
  for (std::size_t i = fatal + 5; i < errors.size() && errors[i] != '"'; ++i) {
    if (errors[i] == '\\' && i + 1 < errors.size()) ++i;
    message += errors[i];
  }
  return message;
}

}  // namespace

Error explainSkopeo(const std::string& reference, const std::string& errors) {
  struct Sign {
    std::string_view text;
    ErrorKind kind;
    std::string_view meaning;
  };
  static constexpr Sign kSigns[] = {
      {"no space left on device", ErrorKind::Exhausted, "disk full while fetching"},
      {"disk quota exceeded", ErrorKind::Exhausted, "disk quota used up while fetching"},
      {"digest did not match", ErrorKind::Invalid, "corrupt in the registry"},
      {"does not match expected digest", ErrorKind::Invalid, "corrupt in the registry"},
      {"x509", ErrorKind::Unavailable, "TLS certificate of the registry is not trusted"},
      {"tls:", ErrorKind::Unavailable, "TLS failed with the registry"},
      {"gave http response to https", ErrorKind::Unavailable, "the registry does not speak TLS"},
      {"unauthorized", ErrorKind::Denied, "private, or the credentials are wrong"},
      {"authentication required", ErrorKind::Denied, "private, or the credentials are wrong"},
      {"access to the resource is denied", ErrorKind::Denied, "private or missing"},
      {"invalid username/password", ErrorKind::Denied, "the credentials are wrong"},
      {"403 (forbidden)", ErrorKind::Denied, "the registry forbids it"},
      {"manifest unknown", ErrorKind::NotFound, "no such image"},
      {"name unknown", ErrorKind::NotFound, "no such image"},
      {"name invalid", ErrorKind::NotFound, "no such image"},
      {"404 (not found)", ErrorKind::NotFound, "no such image"},
      {"toomanyrequests", ErrorKind::Unavailable, "the registry asks to come back later"},
      {"blob unknown", ErrorKind::Invalid, "the registry lost a part of it"},
  };
  const std::string words = lastWords(errors);
  const std::string lower = toLower(words);
  for (const Sign& sign : kSigns) {
    if (!lower.contains(sign.text)) continue;
    return {sign.kind, fmt::format("image {}: {} ({})", reference, sign.meaning, words), {}};
  }
  return {ErrorKind::Unavailable,
          fmt::format("image {}: registry not reachable ({})", reference, words),
          {}};
}

std::unique_ptr<ImageSource> makeRegistrySource(RegistryReference reference,
                                                std::optional<RegistryAuth> auth,
                                                SourceOptions options, std::function<bool()> tick) {
  return std::make_unique<RegistrySource>(std::move(reference), std::move(auth), std::move(options),
                                          std::move(tick));
}

}  // namespace okibi::images
