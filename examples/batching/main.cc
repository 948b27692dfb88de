// Shows what instanceConcurrency is for: up to eight requests in one container share one pass
// through the model. A batch runs when it is full or its oldest request has waited five
// milliseconds. POST /invoke with 64 numbers, separated by commas or spaces (brackets allowed).
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "model.h"

#include "common/json.h"
#include "common/small_server.h"

namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kMaxBatch = 8;
constexpr std::chrono::milliseconds kMaxWait{5};
constexpr size_t kMaxBody = 64 << 10;
constexpr uint64_t kSeed = 20;

web::Answer problem(int status, std::string_view text) {
  return {.status = status, .body = web::JsonObject().add("error", text).done() + '\n'};
}

std::optional<batching::Input> parseInput(const std::string& text) {
  constexpr const char* kBetween = "[], \t\r\n";
  batching::Input input{};
  size_t at = text.find_first_not_of(kBetween), count = 0;
  for (; at != std::string::npos; at = text.find_first_not_of(kBetween, at)) {
    char* end = nullptr;
    const float value = strtof(text.c_str() + at, &end);
    const auto stop = static_cast<size_t>(end - text.c_str());
    if (stop == at || !std::isfinite(value) || count == input.size()) return std::nullopt;
    input[count++] = value;
    at = stop;
  }
  if (count != input.size()) return std::nullopt;
  return input;
}

class BatchingProgram : public web::SmallServer::Program {
 public:
  explicit BatchingProgram(web::SmallServer& server) : server_(server), model_(kSeed) {}

  void onRequest(uint64_t ticket, const web::Request& request) override {
    if (request.path == "/initialize" || request.path == "/pre-stop" || request.path == "/healthz")
      return server_.answer(ticket, {.body = "{}\n"});
    if (request.method != "POST")
      return server_.answer(ticket, problem(405, "POST 64 numbers to /invoke"));
    const auto input = parseInput(request.body);
    if (!input) return server_.answer(ticket, problem(400, "the body must be 64 finite numbers"));
    if (tickets_.empty()) due_ = Clock::now() + kMaxWait;
    tickets_.push_back(ticket);
    inputs_.push_back(*input);
    if (tickets_.size() == kMaxBatch) runBatch();
  }

  int pauseMs() override {
    if (tickets_.empty()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due_ - Clock::now()).count();
    return left > 0 ? static_cast<int>(left) : 0;
  }

  void onPause() override { runBatch(); }

 private:
  void runBatch() {
    const std::vector<batching::Output> outputs = model_.run(inputs_);
    ++batches_;
    for (size_t i = 0; i < outputs.size(); ++i) server_.answer(tickets_[i], answerFor(outputs[i]));
    web::logLine("batch " + std::to_string(batches_) + " of " + std::to_string(outputs.size()));
    tickets_.clear();
    inputs_.clear();
  }

  web::Answer answerFor(const batching::Output& output) const {
    web::JsonArray scores;
    for (const float score : output) {
      char text[32];
      snprintf(text, sizeof text, "%.6f", static_cast<double>(score));
      scores.addRaw(text);
    }
    web::JsonObject object;
    object.addRaw("scores", scores.done()).add("batch", static_cast<int64_t>(batches_));
    object.add("batchSize", static_cast<int64_t>(tickets_.size()));
    return {.body = object.done() + '\n'};
  }

  web::SmallServer& server_;
  batching::Model model_;
  std::vector<uint64_t> tickets_;  // of the batch being gathered
  std::vector<batching::Input> inputs_;
  Clock::time_point due_;
  uint64_t batches_ = 0;
};

}  // namespace

int main() {
  web::SmallServer server(kMaxBody);
  if (!server.listen(web::portFromEnvironment())) return 1;
  BatchingProgram program(server);
  server.run(program);
}
