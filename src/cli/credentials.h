#pragma once
// Where the daemon is and which access key to sign with: flags, environment, credentials file.

#include <string>
#include <string_view>

#include "base/result.h"

namespace okibi::cli {

inline constexpr std::string_view kDefaultEndpoint = "127.0.0.1:7070";

struct Credentials {
  std::string endpoint;             // empty: not set
  std::string accessKeyId, secret;  // both or neither
  std::string token = {};           // of temporary ones; empty: none
  std::string authorities = {};     // a PEM file, for https; empty: whom the system believes
  bool operator==(const Credentials&) const = default;
};

// Lines "endpoint = …", "access_key_id = …", "access_key_secret = …", "security_token = …",
// "ca = …"; '#' begins a comment. Invalid names the line.
Result<Credentials> parseCredentials(std::string_view text);
std::string toText(const Credentials& credentials);

// $XDG_CONFIG_HOME/okibi/credentials, else ~/.config/okibi/credentials.
std::string credentialsPath();
// Nothing set if the file does not exist. Denied if others than its owner may read it.
Result<Credentials> loadCredentials(const std::string& path);
// Replaces the file, mode 0600, and makes its folder, mode 0700.
Result<void> storeCredentials(const std::string& path, const Credentials& credentials);

// OKIBI_ENDPOINT, OKIBI_ACCESS_KEY_ID, OKIBI_ACCESS_KEY_SECRET, OKIBI_SECURITY_TOKEN, OKIBI_CA.
Credentials environmentCredentials();
// Endpoint and authorities: `flags`, environment, file, default. Key with its token: environment,
// then file. Invalid: half a key.
Result<Credentials> resolveCredentials(const Credentials& flags, const Credentials& environment,
                                       const Credentials& file);
// "http://127.0.0.1:7070/" and "127.0.0.1:7070" both give "127.0.0.1:7070", "https://a/" gives
// "https://a:443"; without a port it is 7070, of https 443.
Result<std::string> normalizeEndpoint(std::string_view text);

// A normalized endpoint, taken apart.
struct Endpoint {
  enum class Scheme { Http, Https } scheme = Scheme::Http;
  std::string authority;  // HOST:PORT
  std::string host;       // without brackets
};
Endpoint endpointOf(std::string_view normalized);

}  // namespace okibi::cli
