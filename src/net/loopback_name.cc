#include "net/loopback_name.h"

namespace okibi::net {

bool isLoopbackName(std::string_view hostOrOrigin) {
  constexpr std::string_view kScheme = "http://";
  std::string_view host = hostOrOrigin;
  if (host.starts_with(kScheme)) host.remove_prefix(kScheme.size());
  host = host.substr(0, host.starts_with('[') ? host.find(']') + 1 : host.find(':'));
  return host == "127.0.0.1" || host == "localhost" || host == "[::1]" ||
         host.ends_with(".localhost");
}

}  // namespace okibi::net
