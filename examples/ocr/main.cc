// Reads text off pages: POST /invoke with the bytes of an image, JSON back. The port is open before
// the model is loaded; POST /initialize loads it, and so does the first /invoke where no
// initializer is configured.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "reader.h"
#include <unistd.h>

#include "common/json.h"
#include "common/small_server.h"

namespace {

constexpr size_t kMaxImage = 32u << 20;

std::string number(double value) {
  char text[32];
  snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string toJson(const ocr::Page& page) {
  web::JsonArray words;
  for (const ocr::Word& word : page.words) {
    web::JsonObject box, object;
    box.add("x", word.x).add("y", word.y).add("width", word.width).add("height", word.height);
    object.add("text", word.text).addRaw("confidence", number(word.confidence));
    words.addRaw(object.addRaw("box", box.done()).done());
  }
  web::JsonObject object;
  object.add("text", page.text).add("width", page.width).add("height", page.height);
  return object.addRaw("words", words.done()).done() + '\n';
}

web::Answer problem(int status, std::string_view text) {
  return {.status = status, .body = web::JsonObject().add("error", text).done() + '\n'};
}

class OcrProgram : public web::SmallServer::Program {
 public:
  explicit OcrProgram(web::SmallServer& server) : server_(server) {}

  void onRequest(uint64_t ticket, const web::Request& request) override {
    server_.answer(ticket, reply(request));
  }

 private:
  web::Answer reply(const web::Request& request) {
    if (request.path == "/initialize") return initialize(request);
    if (request.path == "/pre-stop") return {.body = "{}\n"};
    if (request.path == "/healthz") return {.body = "{}\n"};
    if (request.method != "POST") return problem(405, "POST the bytes of an image to /invoke");
    return invoke(request);
  }

  web::Answer initialize(const web::Request& request) {
    const auto begin = std::chrono::steady_clock::now();
    const std::string error = reader_.load();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    log("FC Initialize", request, "model loaded in " + number(took.count()) + " ms");
    if (!error.empty()) return problem(500, error);
    return {.body = web::JsonObject().addRaw("loadMs", number(took.count())).done() + '\n'};
  }

  web::Answer invoke(const web::Request& request) {
    if (const std::string error = reader_.load(); !error.empty()) return problem(500, error);
    const auto result = reader_.read(request.body);
    if (const auto* error = std::get_if<std::string>(&result)) {
      log("FC Invoke", request, *error);
      return problem(400, *error);
    }
    const auto& page = std::get<ocr::Page>(result);
    log("FC Invoke", request, std::to_string(page.words.size()) + " words");
    return {.body = toJson(page)};
  }

  static void log(const char* what, const web::Request& request, const std::string& text) {
    web::logLine(std::string(what) + " RequestId: " +
                 std::string(request.header("x-fc-request-id").value_or("-")) + " " + text);
  }

  web::SmallServer& server_;
  ocr::Reader reader_;
};

// Tesseract's own threads spend more time waiting for each other than they save (2.2 s instead of
// 0.3 s for one page on two cores). OpenMP reads its limit before main(), so the program starts
// itself again where the image or the function did not set it.
void runWithOneThread(char** argv) {
  if (getenv("OMP_THREAD_LIMIT") != nullptr) return;
  setenv("OMP_THREAD_LIMIT", "1", 1);
  execv("/proc/self/exe", argv);
}

}  // namespace

int main(int, char** argv) {
  runWithOneThread(argv);
  web::SmallServer server(kMaxImage);
  if (!server.listen(web::portFromEnvironment())) return 1;
  OcrProgram program(server);
  server.run(program);
}
