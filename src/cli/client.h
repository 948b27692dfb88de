#pragma once
// Client: one request after another to the daemon, signed when there is an access key.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/units.h"
#include "cli/credentials.h"
#include "cli/failure.h"
#include "cli/json_read.h"
#include "net/task.h"
#include "net/websocket.h"

namespace okibi::cli {

using Query = std::vector<std::pair<std::string, std::string>>;

struct ApiRequest {
  std::string method = "GET";
  std::string path;  // percent-encoded
  Query query;       // plain; pairs with an empty value are left out, but for `command`
  std::string action;
  std::string body, contentType;
  std::vector<std::pair<std::string, std::string>> headers;  // outside the signature
  Duration patience = 60s;
};

struct ApiAnswer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;

  std::string header(std::string_view lowerName) const;  // empty: not there
};

ApiRequest jsonRequest(std::string method, std::string path, std::string action, const Json& body);
// "a=b%20c&d=e"
std::string queryText(const Query& query);
// What an answer of 400 or more says, with the exit code and remedy that fit.
Failure answerFailure(const ApiAnswer& answer);

class Client {
 public:
  // `credentials` as resolveCredentials() gives them.
  explicit Client(Credentials credentials);
  ~Client();

  // The answer, whatever its status. Fails when there is none.
  Outcome<ApiAnswer> exchange(const ApiRequest& request);
  // The JSON of a 2xx answer (null when empty); any other status is a failure.
  Outcome<Json> json(const ApiRequest& request);
  Outcome<Json> get(std::string path, std::string action, Query query = {});
  // Calls `onLine` for each line of the answer as it arrives.
  Outcome<void> lines(const ApiRequest& request,
                      const std::function<void(std::string_view)>& onLine);

  // A WebSocket to where `request` says, which `talk` has until it returns.
  using Talk = std::function<net::Task<void>(net::Loop&, net::WebSocket&)>;
  Outcome<void> webSocket(const ApiRequest& request, std::string_view protocol, const Talk& talk);

  const std::string& endpoint() const { return credentials_.endpoint; }
  const Credentials& credentials() const { return credentials_; }

 private:
  struct Impl;
  Credentials credentials_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace okibi::cli
