#include "api/exec_order.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace okibi::api {
namespace {

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorKind::Invalid, std::move(message), "InvalidArgument");
}

Result<int> readNumber(const std::string& key, const std::string& value, int low, int high) {
  int number = 0;
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  if (error == std::errc() && stop == end && number >= low && number <= high) return number;
  return invalid(fmt::format("{}: '{}' is not in {}–{}", key, value, low, high));
}

// Reads `value` into `into`, if it is the flag's.
Result<void> readFlag(const std::string& key, const std::string& value, bool& into) {
  if (value != "true" && value != "false") {
    return invalid(fmt::format("{}: '{}' is neither true nor false", key, value));
  }
  into = value == "true";
  return {};
}

Result<void> readOne(ExecOrder& order, seams::TerminalSize& size, bool& tty, const std::string& key,
                     const std::string& value) {
  constexpr int kIdle = static_cast<int>(limits::kSessionIdleMax.count());
  if (key == "command") order.program.command.push_back(value);
  if (key == "qualifier") order.qualifier = value;
  if (key == "stdin") return readFlag(key, value, order.in);
  if (key == "stdout") return readFlag(key, value, order.out);
  if (key == "stderr") return readFlag(key, value, order.err);
  if (key == "tty") return readFlag(key, value, tty);
  if (key == "columns" || key == "rows") {
    auto number = readNumber(key, value, 1, seams::TerminalSize::kMost);
    if (!number) return fail(std::move(number.error()));
    (key == "columns" ? size.columns : size.rows) = *number;
  }
  // Clients name the silence they allow; more than the limit is not refused, only not granted.
  if (key == "FC_INSTANCE_EXEC_TIMEOUT" || key == "idleTimeout") {
    auto number = readNumber(key, value, 1, static_cast<int>(limits::kSessionMax.count()));
    if (!number) return fail(std::move(number.error()));
    order.idle = std::chrono::seconds(std::min(*number, kIdle));
  }
  return {};
}

}  // namespace

Result<ExecOrder> readExecOrder(const QueryPairs& query) {
  ExecOrder order;
  seams::TerminalSize size;
  bool tty = false;
  for (const auto& [key, value] : query) {
    if (auto read = readOne(order, size, tty, key, value); !read) return fail(read.error());
  }
  std::size_t length = 0;
  for (const std::string& word : order.program.command) length += word.size() + 1;
  if (order.program.command.empty() || order.program.command.front().empty()) {
    return invalid("command: is missing; each word is a parameter of its own");
  }
  if (std::cmp_greater(length, limits::kSessionCommand.count())) {
    return invalid(fmt::format("command: {} bytes, at most {} are allowed", length,
                               limits::kSessionCommand.count()));
  }
  if (tty) order.program.terminal = size;
  return order;
}

bool isExec(const net::RequestHead& head, const std::vector<std::string>& path) {
  return head.method == "GET" && path.size() == 5 && path[0] == "functions" &&
         path[2] == "instances" && path[4] == "exec";
}

}  // namespace okibi::api
