// Multiplies matrices on its slice of a card, by the driver alone: no toolkit, no framework.
//   POST /invoke     {"n": 512, "seed": 1} -> time, checksum, and the error against the host for
//   some elements GET  /memory     what the card says it has: the slice
// Without a driver it serves nevertheless, and answers 503 with the reason.

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "driver.h"

#include "common/json.h"
#include "common/small_server.h"

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint32_t kMaxN = 8192;
constexpr std::size_t kMaxBody = 64 << 10;
constexpr std::uint32_t kChecked = 16;  // rows and columns compared with the host

struct Order {
  std::uint32_t n = 512;
  std::uint64_t seed = 1;
};

web::Answer problem(int status, std::string_view text) {
  return {.status = status, .body = web::JsonObject().add("error", text).done() + '\n'};
}

// The number behind `"name":` in a flat JSON object; nullopt when there is none.
std::optional<std::uint64_t> numberOf(const std::string& body, const std::string& name) {
  const std::size_t at = body.find('"' + name + '"');
  if (at == std::string::npos) return std::nullopt;
  const std::size_t digits = body.find_first_not_of(" :\t\r\n", at + name.size() + 2);
  if (digits == std::string::npos || body[digits] < '0' || body[digits] > '9') return std::nullopt;
  return std::strtoull(body.c_str() + digits, nullptr, 10);
}

// Values in [-1, 1), the same for a seed on every machine.
std::vector<float> matrix(std::uint32_t n, std::uint64_t seed) {
  std::vector<float> values(std::size_t{n} * n);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (float& value : values) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    value = static_cast<float>(static_cast<double>(state >> 40) / (1 << 23) - 1.0);
  }
  return values;
}

double worstError(std::uint32_t n, const std::vector<float>& a, const std::vector<float>& b,
                  const std::vector<float>& c) {
  double worst = 0;
  const std::uint32_t step = n > kChecked ? n / kChecked : 1;
  for (std::uint32_t row = 0; row < n; row += step) {
    for (std::uint32_t column = 0; column < n; column += step) {
      double sum = 0;
      for (std::uint32_t k = 0; k < n; ++k)
        sum += double{a[std::size_t{row} * n + k]} * b[std::size_t{k} * n + column];
      worst = std::max(worst, std::abs(sum - c[std::size_t{row} * n + column]));
    }
  }
  return worst;
}

std::string decimal(double value) {
  char text[48];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

class MatmulProgram : public web::SmallServer::Program {
 public:
  explicit MatmulProgram(web::SmallServer& server) : server_(server) {
    web::logLine(gpu_.ready() ? "card: " + gpu_.name() : gpu_.problem());
  }

  void onRequest(std::uint64_t ticket, const web::Request& request) override {
    if (request.path == "/initialize" || request.path == "/pre-stop" || request.path == "/healthz")
      return server_.answer(ticket, {.body = "{}\n"});
    if (!gpu_.ready()) return server_.answer(ticket, problem(503, gpu_.problem()));
    if (request.path == "/memory") return server_.answer(ticket, memory());
    if (request.method != "POST")
      return server_.answer(ticket, problem(405, "POST {\"n\": 512, \"seed\": 1} to /invoke"));
    const Order order{static_cast<std::uint32_t>(numberOf(request.body, "n").value_or(512)),
                      numberOf(request.body, "seed").value_or(1)};
    if (order.n < 1 || order.n > kMaxN)
      return server_.answer(ticket, problem(400, "n must be 1 to 8192"));
    server_.answer(ticket, multiply(order));
  }

 private:
  web::Answer memory() {
    const matmul::Gpu::Memory memory = gpu_.memory();
    web::JsonObject object;
    object.add("card", gpu_.name()).add("total", static_cast<int64_t>(memory.total));
    return {.body = object.add("free", static_cast<int64_t>(memory.free)).done() + '\n'};
  }

  web::Answer multiply(const Order& order) {
    const std::vector<float> a = matrix(order.n, order.seed), b = matrix(order.n, order.seed + 1);
    std::vector<float> c(a.size());
    std::string error;
    const auto start = Clock::now();
    if (!gpu_.multiply(order.n, a, b, c, error)) return problem(507, error);
    const std::chrono::duration<double, std::milli> took = Clock::now() - start;
    double sum = 0;
    for (const float value : c) sum += value;
    web::JsonObject object;
    object.add("card", gpu_.name())
        .add("n", static_cast<int64_t>(order.n))
        .addRaw("ms", decimal(took.count()));
    object.addRaw("sum", decimal(sum)).addRaw("worstError", decimal(worstError(order.n, a, b, c)));
    return {.body = object.done() + '\n'};
  }

  web::SmallServer& server_;
  matmul::Gpu gpu_;
};

}  // namespace

int main() {
  web::SmallServer server(kMaxBody);
  if (!server.listen(web::portFromEnvironment())) return 1;
  MatmulProgram program(server);
  server.run(program);
}
