// Arbitrary request heads against the verifier. Nothing may crash, and nothing may be accepted
// unless it carries a signature made with the secret: the input has none, so every acceptance is a
// forgery. With the first byte odd the input is signed instead, and must then be accepted as it is
// and refused once its path is changed.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "auth/canonical.h"
#include "auth/digest.h"
#include "auth/signer.h"
#include "auth/verifier.h"
#include "base/encoding.h"

namespace {

using namespace okibi;

const auth::AccessKey kKey{"OKBIkey", "a secret that no input knows: 5d1f0c77", "account"};
const WallTime kNow = *parseIso8601("2026-11-24T08:35:00Z");

void require(bool condition) {
  if (!condition) std::abort();
}

std::string_view takeLine(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

// Lines: method, path, query, then "name:value" headers.
auth::RequestHead parse(std::string_view text) {
  auth::RequestHead request;
  request.method = takeLine(text);
  request.path = takeLine(text);
  request.query = takeLine(text);
  while (!text.empty()) {
    const std::string_view line = takeLine(text);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    request.headers.emplace_back(line.substr(0, colon), line.substr(colon + 1));
  }
  return request;
}

auth::Verifier makeVerifier() {
  return auth::Verifier([](std::string_view id) -> std::optional<auth::AccessKey> {
    if (id != kKey.id) return std::nullopt;
    return kKey;
  });
}

void mustBeRefused(const auth::RequestHead& request) {
  auto verifier = makeVerifier();
  require(!verifier.verifyApi(request, kNow));
  require(!verifier.verifyTrigger(request, kNow));
  require(!verifier.verifyLegacy(request, kNow));
}

void signedMustBeAccepted(auth::RequestHead request) {
  std::erase_if(request.headers, [](const auto& header) {
    const std::string name = toLower(header.first);
    return name == "host" || name == "authorization" || name.starts_with("x-acs-");
  });
  if (!auth::canonicalQuery(request.query, auth::KeyRule::Encoded)) return;  // broken escapes
  request.headers.emplace_back("host", "h");
  auth::RequestHead unsignedHead = request;
  const auto added = auth::signApi(request, "A", auth::sha256Hex(""), kKey, kNow, "nonce");
  request.headers.insert(request.headers.end(), added.begin(), added.end());
  auto verifier = makeVerifier();
  require(verifier.verifyApi(request, kNow).has_value());
  auto other = makeVerifier();
  auth::RequestHead changed = request;
  changed.path += "/x";
  require(!other.verifyApi(changed, kNow));
  const auto triggerHeaders = auth::signTrigger(unsignedHead, kKey, kNow);
  unsignedHead.headers.insert(unsignedHead.headers.end(), triggerHeaders.begin(),
                              triggerHeaders.end());
  require(verifier.verifyTrigger(unsignedHead, kNow).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto request = parse(text);
  if (data[0] % 2 == 0) {
    mustBeRefused(request);
  } else {
    signedMustBeAccepted(request);
  }
  return 0;
}
