#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <unistd.h>

#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/numbers.h"
#include "cli/table.h"

namespace okibi::cli {

namespace {

// Follows the stream of a pull: steps, then the image or an error.
class PullProgress {
 public:
  explicit PullProgress(Format format) : format_(format) {}

  void onLine(std::string_view line) {
    boost::system::error_code error;
    Json event = boost::json::parse(line, error);
    if (error) return;
    if (field(event, "image")) {
      image_ = member(event, "image");
    } else if (field(event, "Code")) {
      failure_ = Failure{.exit = Exit::Failed,
                         .code = text(event, "Code"),
                         .message = text(event, "Message"),
                         .requestId = text(event, "RequestId"),
                         .remedy = {}};
    } else {
      showStep(event);
    }
  }

  Outcome<Json> end() {
    if (shown_ && ::isatty(STDERR_FILENO)) note("");
    if (failure_) return std::unexpected(*failure_);
    if (image_) return *image_;
    return std::unexpected(Failure{.exit = Exit::Failed,
                                   .code = "BadAnswer",
                                   .message = "the daemon ended before the image was there",
                                   .requestId = {},
                                   .remedy = {}});
  }

 private:
  void showStep(const Json& event) {
    if (format_ == Format::JsonText) return;
    std::string step = printable(text(event, "step"));
    bool onTerminal = ::isatty(STDERR_FILENO);
    if (!onTerminal && step == last_) return;
    double total = number(event, "total");
    std::string line = step;
    if (total > 0) line += " " + formatPercent(number(event, "done") / total);
    if (onTerminal) {
      std::fprintf(stderr, "\r\033[K%s", line.c_str());
    } else {
      note(step);
    }
    last_ = step;
    shown_ = true;
  }

  Format format_;
  std::string last_;
  bool shown_ = false;
  std::optional<Json> image_;
  std::optional<Failure> failure_;
};

std::string imagesPath() {
  return std::string(kOwnApi) + "/images";
}

std::string shortDigest(const std::string& digest) {
  return digest.substr(0, 19);
}

// The daemon counts whole megabytes.
std::string sizeText(const Json& image) {
  const double size = number(image, "sizeMB");
  return size < 1 ? "<1 MB" : formatMegabytes(size);
}

std::string joined(const boost::json::array& names) {
  std::string out;
  for (const Json& name : names) {
    if (!name.is_string()) continue;
    out += (out.empty() ? "" : ", ") + std::string(name.get_string());
  }
  return out.empty() ? "-" : out;
}

}  // namespace

Outcome<Json> fetchImage(Context& context, const PullOptions& options) {
  JsonObject body{{"reference", options.reference}};
  if (!options.userName.empty()) {
    body["userName"] = options.userName;
    body["password"] = options.password;
  }
  PullProgress progress(context.format);
  Outcome<void> streamed =
      context.client.lines(jsonRequest("POST", imagesPath(), "PullOkibiImage", body),
                           [&](std::string_view line) { progress.onLine(line); });
  if (!streamed) return std::unexpected(streamed.error());
  return progress.end();
}

Outcome<void> pullImage(Context& context, const PullOptions& options) {
  Outcome<Json> image = fetchImage(context, options);
  if (!image) return std::unexpected(image.error());
  if (context.asJson()) {
    printJson(JsonObject{{"image", *image}});
    return {};
  }
  printLine(printable(fmt::format("{}  {}  {}", text(*image, "reference"), text(*image, "digest"),
                                  sizeText(*image))));
  return {};
}

Outcome<void> importImage(Context& context, const std::string& layout) {
  // "DIR" or "DIR:ref"; a folder whose own name has a colon is taken whole.
  std::string folder = layout, reference;
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    std::size_t colon = layout.rfind(':');
    if (colon != std::string::npos && layout.find('/', colon) == std::string::npos) {
      folder = layout.substr(0, colon);
      reference = layout.substr(colon);
    }
  }
  if (!std::filesystem::exists(std::filesystem::path(folder) / "oci-layout", error)) {
    return std::unexpected(usageFailure(folder + ": not an OCI layout (no oci-layout file in it)"));
  }
  std::filesystem::path whole = std::filesystem::canonical(folder, error);
  if (error) return std::unexpected(usageFailure(folder + ": " + error.message()));
  return pullImage(
      context, {.reference = "oci:" + whole.string() + reference, .userName = {}, .password = {}});
}

Outcome<void> listImages(Context& context) {
  Outcome<Json> answer = context.client.get(imagesPath(), "ListOkibiImages");
  if (!answer) return std::unexpected(answer.error());
  if (context.asJson()) {
    printJson(*answer);
    return {};
  }
  Table table({left("REFERENCE"), left("DIGEST"), right("SIZE"), right("LAYERS"), left("PULLED"),
               left("USED BY")});
  for (const Json& image : items(*answer, "images")) {
    table.add({text(image, "reference"), shortDigest(text(image, "digest")), sizeText(image),
               text(image, "layers"), text(image, "pulledTime"), joined(items(image, "inUseBy"))});
  }
  printTable(table, "no images; `okibi image pull` or a deployment brings one");
  return {};
}

Outcome<void> removeImage(Context& context, const std::string& reference) {
  ApiRequest request;
  request.method = "DELETE";
  request.path = imagesPath();
  request.query = {{"reference", reference}};
  request.action = "DeleteOkibiImage";
  Outcome<Json> done = context.client.json(request);
  if (!done) return std::unexpected(done.error());
  if (context.asJson()) {
    printJson(*done);
    return {};
  }
  printLine(reference + " removed");
  // Older daemons say nothing.
  const auto& names = items(*done, "alsoNamed");
  if (!names.empty()) {
    note(fmt::format("its layers stay: the same image ({}) is called {} too",
                     shortDigest(text(*done, "digest")), joined(names)));
  }
  return {};
}

}  // namespace okibi::cli
