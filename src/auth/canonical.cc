#include "auth/canonical.h"

#include <algorithm>
#include <utility>

#include "auth/digest.h"
#include "auth/signer.h"
#include "base/encoding.h"

namespace okibi::auth {
namespace {

constexpr std::size_t kAuthorizationMax = 4096;

void replace(std::string& text, std::string_view from, std::string_view to, PathRule rule) {
  std::size_t at = text.find(from);
  while (at != std::string::npos) {
    text.replace(at, from.size(), to);
    if (rule == PathRule::ReplaceFirst) return;
    at = text.find(from, at + to.size());
  }
}

bool couldPassForAnotherQuery(std::string_view key) {
  return std::ranges::any_of(
      key, [](char c) { return c == '&' || c == '=' || static_cast<unsigned char>(c) < 0x20; });
}

std::string join(const std::vector<std::string>& parts, char separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (&part != &parts.front()) text += separator;
    text += part;
  }
  return text;
}

}  // namespace

std::string canonicalPath(std::string_view path, PathRule rule) {
  std::string text(path);
  replace(text, "+", "%20", rule);
  replace(text, "*", "%2A", rule);
  replace(text, "%7E", "~", rule);
  return text;
}

std::optional<std::string> canonicalQuery(std::string_view query, KeyRule rule) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string_view part : split(query, '&')) {
    if (part.empty()) continue;
    const std::size_t equals = part.find('=');
    const auto key = percentDecode(part.substr(0, equals));
    const auto value = percentDecode(equals == std::string_view::npos ? std::string_view()
                                                                      : part.substr(equals + 1));
    if (!key || !value) return std::nullopt;
    if (rule == KeyRule::Plain && couldPassForAnotherQuery(*key)) return std::nullopt;
    pairs.emplace_back(rule == KeyRule::Plain ? *key : percentEncode(*key), percentEncode(*value));
  }
  std::ranges::sort(pairs);
  std::string text;
  for (const auto& [key, value] : pairs) {
    if (!text.empty()) text += '&';
    text += key;
    text += '=';
    text += value;
  }
  return text;
}

std::optional<std::string> headerValue(const RequestHead& request, std::string_view name) {
  std::vector<std::string> values;
  for (const auto& [field, value] : request.headers) {
    if (equalsIgnoreCase(field, name)) values.emplace_back(trim(value));
  }
  if (values.empty()) return std::nullopt;
  std::ranges::sort(values);
  return join(values, ',');
}

std::string canonicalRequest(const RequestHead& request, std::string_view path,
                             std::string_view query, const std::vector<std::string>& signedHeaders,
                             std::string_view payloadLine) {
  std::string text = request.method;
  text += '\n';
  text += path;
  text += '\n';
  text += query;
  text += '\n';
  for (const std::string& name : signedHeaders) {
    text += name + ':' + headerValue(request, name).value_or("") + '\n';
  }
  text += '\n';
  text += join(signedHeaders, ';');
  text += '\n';
  text += payloadLine;
  return text;
}

std::string signatureOf(std::string_view canonicalRequest, std::string_view secret) {
  std::string toSign(kAlgorithm);
  toSign += '\n';
  toSign += sha256Hex(canonicalRequest);
  return toHex(hmacSha256(secret, toSign));
}

std::optional<Authorization> parseAuthorization(std::string_view text) {
  text = trim(text);
  if (text.size() > kAuthorizationMax || !text.starts_with(kAlgorithm)) return std::nullopt;
  text.remove_prefix(kAlgorithm.size());
  if (!text.starts_with(' ')) return std::nullopt;
  Authorization result;
  for (std::string_view part : split(text, ',')) {
    part = trim(part);
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view name = part.substr(0, equals);
    const std::string_view value = part.substr(equals + 1);
    if (name == "Credential") {
      result.keyId = value;
    } else if (name == "Signature") {
      result.signature = value;
    } else if (name == "SignedHeaders") {
      for (const std::string_view header : split(value, ';')) {
        result.signedHeaders.push_back(toLower(header));
      }
    } else {
      return std::nullopt;
    }
  }
  if (result.keyId.empty() || result.signature.empty() || result.signedHeaders.empty()) {
    return std::nullopt;
  }
  return result;
}

std::string formatAuthorization(const Authorization& authorization) {
  std::string text(kAlgorithm);
  text += " Credential=" + authorization.keyId;
  text += ",SignedHeaders=" + join(authorization.signedHeaders, ';');
  text += ",Signature=" + authorization.signature;
  return text;
}

}  // namespace okibi::auth
