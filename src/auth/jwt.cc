#include "auth/jwt.h"

#include <memory>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "auth/digest.h"
#include "base/encoding.h"
#include "base/owned.h"

namespace okibi::auth {
namespace {

namespace json = boost::json;

using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using Number = Owned<BIGNUM, BN_free>;

std::unexpected<Error> badKey(std::string_view what) {
  return fail(ErrorKind::Invalid, fmt::format("jwks.keys[0].{}", what), "InvalidArgument");
}
std::unexpected<Error> badToken() {
  return fail(ErrorKind::Denied, "invalid or expired jwt", "AccessDenied");
}

const unsigned char* bytesOf(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::optional<std::string> textOf(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  const json::string* text = value ? value->if_string() : nullptr;
  if (text == nullptr) return std::nullopt;
  return std::string(*text);
}

std::optional<std::string> bytesAt(const json::object& jwk, std::string_view name) {
  const auto text = textOf(jwk, name);
  return text ? fromBase64Url(*text) : std::nullopt;
}

std::optional<json::object> objectIn(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

Key fromParameters(const char* type, OSSL_PARAM_BLD* builder) {
  const Owned<OSSL_PARAM, OSSL_PARAM_free> parameters(OSSL_PARAM_BLD_to_param(builder));
  const Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(
      EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) <= 0 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) <= 0) {
    return nullptr;
  }
  return Key(key);
}

Result<Key> rsaKey(const json::object& jwk) {
  const auto n = bytesAt(jwk, "n"), e = bytesAt(jwk, "e");
  if (!n || n->size() < 256 || n->size() > 1024)
    return badKey("n: must be base64url of 2048 bits or more");
  if (!e || e->empty() || e->size() > 8) return badKey("e: must be base64url of an exponent");
  const Number modulus(BN_bin2bn(bytesOf(*n), static_cast<int>(n->size()), nullptr));
  const Number exponent(BN_bin2bn(bytesOf(*e), static_cast<int>(e->size()), nullptr));
  const Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
  Key key = fromParameters("RSA", builder.get());
  if (!key) return badKey("n: is not an RSA key");
  return key;
}

struct Curve {
  std::string_view name;
  const char* group;
  std::size_t bytes;
  std::string_view algorithm;
};
constexpr Curve kCurves[] = {{"P-256", "prime256v1", 32, "ES256"},
                             {"P-384", "secp384r1", 48, "ES384"},
                             {"P-521", "secp521r1", 66, "ES512"}};

const Curve* curveOf(const json::object& jwk) {
  const auto name = textOf(jwk, "crv");
  for (const Curve& curve : kCurves) {
    if (name == curve.name) return &curve;
  }
  return nullptr;
}

Result<Key> ecKey(const json::object& jwk) {
  const Curve* curve = curveOf(jwk);
  if (curve == nullptr) return badKey("crv: must be P-256, P-384 or P-521");
  const auto x = bytesAt(jwk, "x"), y = bytesAt(jwk, "y");
  if (!x || x->size() != curve->bytes) return badKey("x: must be base64url of a coordinate");
  if (!y || y->size() != curve->bytes) return badKey("y: must be base64url of a coordinate");
  const std::string point = "\x04" + *x + *y;
  const Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                   point.size());
  Key key = fromParameters("EC", builder.get());
  if (!key) return badKey("x: is not a point of the curve");
  return key;
}

const EVP_MD* hashOf(std::string_view algorithm) {
  if (algorithm.ends_with("256")) return EVP_sha256();
  if (algorithm.ends_with("384")) return EVP_sha384();
  if (algorithm.ends_with("512")) return EVP_sha512();
  return nullptr;
}

// ECDSA signatures are r and s side by side in a token, DER in OpenSSL.
std::optional<std::string> derOf(std::string_view raw, std::size_t bytes) {
  if (raw.size() != 2 * bytes) return std::nullopt;
  const Owned<ECDSA_SIG, ECDSA_SIG_free> signature(ECDSA_SIG_new());
  const int half = static_cast<int>(bytes);
  BIGNUM* r = BN_bin2bn(bytesOf(raw), half, nullptr);
  BIGNUM* s = BN_bin2bn(bytesOf(raw) + bytes, half, nullptr);
  if (ECDSA_SIG_set0(signature.get(), r, s) != 1) return std::nullopt;
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return std::nullopt;
  std::string out(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return out;
}

bool signedBy(EVP_PKEY* key, std::string_view algorithm, std::string_view text,
              std::string_view signature) {
  const Owned<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* padding = nullptr;
  if (EVP_DigestVerifyInit(context.get(), &padding, hashOf(algorithm), nullptr, key) <= 0) {
    return false;
  }
  if (algorithm.starts_with("PS") &&
      (EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) <= 0 ||
       EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_DIGEST) <= 0)) {
    return false;
  }
  return EVP_DigestVerify(context.get(), bytesOf(signature), signature.size(), bytesOf(text),
                          text.size()) == 1;
}

bool hmacMatches(std::string_view secret, std::string_view algorithm, std::string_view text,
                 std::string_view signature) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (HMAC(hashOf(algorithm), secret.data(), static_cast<int>(secret.size()), bytesOf(text),
           text.size(), mac, &size) == nullptr) {
    return false;
  }
  return constantTimeEqual({reinterpret_cast<char*>(mac), size}, signature);
}

bool isGenuine(const json::object& jwk, std::string_view algorithm, std::string_view text,
               std::string_view signature) {
  const auto type = textOf(jwk, "kty").value_or("");
  if (const auto only = textOf(jwk, "alg"); only && *only != algorithm) return false;
  if (algorithm.size() != 5 || hashOf(algorithm) == nullptr) return false;
  const std::string_view family = algorithm.substr(0, 2);
  if (type == "oct" && family == "HS") {
    const auto secret = bytesAt(jwk, "k");
    return secret && hmacMatches(*secret, algorithm, text, signature);
  }
  if (type == "RSA" && (family == "RS" || family == "PS")) {
    const auto key = rsaKey(jwk);
    return key && signedBy(key->get(), algorithm, text, signature);
  }
  const Curve* curve = curveOf(jwk);
  if (type != "EC" || curve == nullptr || curve->algorithm != algorithm) return false;
  const auto key = ecKey(jwk);
  const auto der = derOf(signature, curve->bytes);
  return key && der && signedBy(key->get(), algorithm, text, *der);
}

// A NumericDate; nullopt when it is absent, and `broken` when it is no number.
std::optional<double> dateAt(const json::object& claims, std::string_view name, bool& broken) {
  const json::value* value = claims.if_contains(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number()) return value->to_number<double>();
  broken = true;
  return std::nullopt;
}

bool isCurrent(const json::object& claims, WallTime now) {
  const double seconds = static_cast<double>(now.time_since_epoch().count()) / 1000;
  bool broken = false;
  const auto until = dateAt(claims, "exp", broken), from = dateAt(claims, "nbf", broken);
  return !broken && (!until || seconds < *until) && (!from || seconds >= *from);
}

}  // namespace

std::optional<std::string> fromBase64Url(std::string_view text) {
  std::string plain(text);
  for (char& c : plain) {
    if (c == '+' || c == '/' || c == '=') return std::nullopt;
    if (c == '-') c = '+';
    if (c == '_') c = '/';
  }
  while (plain.size() % 4 != 0) plain += '=';
  return fromBase64(plain);
}

Result<void> checkJwk(std::string_view text) {
  const auto jwk = objectIn(text);
  if (!jwk) return badKey(": must be an object");
  const auto type = textOf(*jwk, "kty").value_or("");
  if (type == "RSA") {
    if (auto key = rsaKey(*jwk); !key) return fail(key.error());
  } else if (type == "EC") {
    if (auto key = ecKey(*jwk); !key) return fail(key.error());
  } else if (type == "oct") {
    const auto secret = bytesAt(*jwk, "k");
    if (!secret || secret->size() < 32) return badKey("k: must be base64url of 256 bits or more");
  } else {
    return badKey("kty: must be RSA, EC or oct");
  }
  return {};
}

Result<std::map<std::string, std::string>> verifyJwt(std::string_view token, std::string_view key,
                                                     WallTime now) {
  const auto parts = split(token, '.');
  if (parts.size() != 3) return badToken();
  const auto header = fromBase64Url(parts[0]), payload = fromBase64Url(parts[1]),
             signature = fromBase64Url(parts[2]);
  if (!header || !payload || !signature) return badToken();
  const auto head = objectIn(*header);
  const auto jwk = objectIn(key);
  // Extensions that a verifier must understand are not understood.
  if (!head || !jwk || head->contains("crit")) return badToken();
  const std::string_view covered = token.substr(0, parts[0].size() + 1 + parts[1].size());
  if (!isGenuine(*jwk, textOf(*head, "alg").value_or(""), covered, *signature)) return badToken();
  const auto claims = objectIn(*payload);
  if (!claims || !isCurrent(*claims, now)) return badToken();
  std::map<std::string, std::string> out;
  for (const auto& [name, value] : *claims) {
    if (const json::string* text = value.if_string()) {
      out[name] = std::string(*text);
    } else if (value.is_number() || value.is_bool()) {
      out[name] = json::serialize(value);
    }
  }
  return out;
}

}  // namespace okibi::auth
