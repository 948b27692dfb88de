#include "gateway/invocation_type.h"

#include <charconv>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/limits.h"

namespace okibi::gateway {
namespace {

constexpr std::string_view kQueueDeadline = "X-Okibi-Queue-Deadline-Ms";
constexpr std::int64_t kDeadlineMost = std::chrono::milliseconds(limits::kTimeoutMax).count();

// nullopt: it is not a number in the range.
std::optional<Duration> parseMilliseconds(std::string_view text) {
  std::int64_t count = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool whole = error == std::errc() && stop == text.data() + text.size();
  if (!whole || count < 1 || count > kDeadlineMost) return std::nullopt;
  return std::chrono::milliseconds(count);
}

Result<void> checkQueueDeadline(const net::RequestHead& head) {
  const auto text = head.headers.get(kQueueDeadline);
  if (!text) return {};
  if (isAsync(head)) {
    return fail(ErrorKind::Invalid,
                fmt::format("{}: an asynchronous invocation waits as long as "
                            "maxAsyncEventAgeInSeconds of its function says",
                            kQueueDeadline),
                "InvalidArgument");
  }
  if (parseMilliseconds(*text)) return {};
  return fail(ErrorKind::Invalid,
              fmt::format("{}: '{}' ms is not in 1–{} ms", kQueueDeadline, *text, kDeadlineMost),
              "InvalidArgument");
}

}  // namespace

bool isAsync(const net::RequestHead& head) {
  return equalsIgnoreCase(head.headers.getOr("x-fc-invocation-type", ""), "Async");
}

Result<void> checkInvocationType(const net::RequestHead& head) {
  const std::string_view type = head.headers.getOr("x-fc-invocation-type", "Sync");
  if (equalsIgnoreCase(type, "Sync") || isAsync(head)) return checkQueueDeadline(head);
  return fail(ErrorKind::Invalid,
              fmt::format("x-fc-invocation-type: '{}' is neither Sync nor Async", type),
              "InvalidArgument");
}

std::optional<Duration> queueDeadline(const net::RequestHead& head) {
  const auto text = head.headers.get(kQueueDeadline);
  return text ? parseMilliseconds(*text) : std::nullopt;
}

}  // namespace okibi::gateway
