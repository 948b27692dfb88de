#include "gateway/kept_request.h"

#include <fmt/format.h>

namespace okibi::gateway {
namespace {

std::unexpected<Error> damaged(std::string_view what) {
  return fail(ErrorKind::Internal, fmt::format("a request that was kept is damaged: {}", what));
}

// Up to the next `end`, which is taken off as well; nullopt: there is none.
std::optional<std::string_view> take(std::string_view& text, char end) {
  const auto at = text.find(end);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(at + 1);
  return taken;
}

}  // namespace

std::string encodeRequest(const net::RequestHead& head, std::string_view body) {
  std::string text = fmt::format("{} {}\n", head.method, head.target);
  for (const auto field : head.headers) text += fmt::format("{}:{}\n", field.name, field.value);
  text += '\n';
  text += body;
  return text;
}

Result<KeptRequest> decodeRequest(std::string_view text) {
  KeptRequest request;
  const auto method = take(text, ' ');
  const auto target = take(text, '\n');
  if (!method || !target) return damaged("no request line");
  request.head.method = *method;
  request.head.target = *target;
  for (;;) {
    auto line = take(text, '\n');
    if (!line) return damaged("no end of its head");
    if (line->empty()) break;
    const auto name = take(*line, ':');
    if (!name) return damaged("a field without a name");
    request.head.headers.add(*name, *line);
  }
  request.body = text;
  return request;
}

}  // namespace okibi::gateway
