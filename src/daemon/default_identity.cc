#include "daemon/default_identity.h"

#include <fstream>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>

#include "auth/certificate.h"

namespace okibi::daemon {
namespace {

Result<std::string> textOf(const std::filesystem::path& file, std::string_view setting) {
  std::ifstream in(file);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (in) return text.str();
  return fail(ErrorKind::NotFound, fmt::format("{}: cannot read {}", setting, file.string()));
}

}  // namespace

DefaultIdentity::Stamp DefaultIdentity::stampOf(const std::filesystem::path& file) {
  struct stat info{};
  if (::stat(file.c_str(), &info) != 0) return {};
  return {info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

Result<void> DefaultIdentity::refresh(WallTime now) {
  if (certificate_.empty()) return {};
  const Stamp found[2] = {stampOf(certificate_), stampOf(key_)};
  if (identity_ && found[0] == seen_[0] && found[1] == seen_[1]) return {};
  const bool same = found[0] == seen_[0] && found[1] == seen_[1];
  seen_[0] = found[0];
  seen_[1] = found[1];
  if (same) return {};  // it was said already what is wrong with them
  auto chain = textOf(certificate_, "tls.certificate");
  if (!chain) return fail(chain.error());
  auto key = textOf(key_, "tls.key");
  if (!key) return fail(key.error());
  auto facts = auth::checkCertificate(*chain, *key, now);
  if (!facts) return fail(withContext(facts.error(), "tls"));
  auto identity = net::TlsIdentity::make(*chain, *key, {});
  if (!identity) return fail(withContext(identity.error(), "tls"));
  identity_ = std::move(*identity);
  names_ = std::move(facts->names);
  return {};
}

}  // namespace okibi::daemon
