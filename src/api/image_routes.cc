// /okibi/v1/images: what is on this machine; pulling with progress; removing.

#include <deque>
#include <memory>
#include <set>

#include "api/call.h"
#include "api/json_reader.h"
#include "base/encoding.h"
#include "conductor/error_answer.h"
#include "net/event.h"

namespace okibi::api {
namespace {

bool isAdministrator(const Call& call) {
  return call.account == call.accounts.administrator();
}

// The functions, and versions of functions, that are made of it: the caller's by name; others are
// for the administrator only, with their account.
json::array usersOf(const Call& call, const std::string& digest) {
  std::set<std::string> users;
  const auto add = [&](const FunctionRef& ref, const std::string& made) {
    if (made != digest) return;
    if (ref.account == call.account) {
      users.insert(ref.name);
    } else if (isAdministrator(call)) {
      users.insert(ref.account + "/" + ref.name);
    }
  };
  for (const Function* function : call.conductor.catalog().all()) {
    add(function->ref, function->imageDigest);
  }
  for (const auto& [id, version] : call.conductor.catalog().resources().all<Version>()) {
    add(id.owner, version->imageDigest);
  }
  json::array out;
  for (const std::string& user : users) out.emplace_back(toJsonText(user));
  return out;
}

json::object imageJson(const Call& call, const seams::PreparedImage& image) {
  return {{"reference", toJsonText(image.reference)},  {"digest", toJsonText(image.digest)},
          {"sizeMB", image.size.wholeMib()},           {"layers", image.layers.size()},
          {"pulledTime", formatIso8601(image.pulled)}, {"inUseBy", usersOf(call, image.digest)}};
}

struct PullRequest {
  std::string reference;
  std::optional<RegistryAuth> auth;
};

Result<PullRequest> readPull(std::string_view body) {
  auto object = parseObject(body, "body");
  if (!object) return fail(object.error());
  Complaints complaints;
  const Reader in(*object, complaints);
  PullRequest out{in.text("reference").value_or(""), std::nullopt};
  if (!in.hasValue("reference")) in.complain("reference", "is required");
  const auto user = in.text("userName"), password = in.text("password");
  if (user && !user->empty()) out.auth = RegistryAuth{*user, password.value_or("")};
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  return out;
}

// Shared by the pull and the answer; the pull goes on when the caller leaves.
struct Pull {
  explicit Pull(net::Loop& loop) : news(loop) {}
  net::Event news;
  std::deque<seams::PullProgress> progress;  // the newest of each step that was not sent yet
  std::optional<Result<seams::PreparedImage>> result;
};

net::Task<void> runPull(seams::ImageStore& images, PullRequest request,
                        std::shared_ptr<Pull> pull) {
  auto result = co_await images.pull(std::move(request.reference), std::move(request.auth),
                                     [pull](const seams::PullProgress& progress) {
                                       auto& queue = pull->progress;
                                       if (!queue.empty() && queue.back().step == progress.step) {
                                         queue.pop_back();
                                       }
                                       queue.push_back(progress);
                                       pull->news.set();
                                     });
  pull->result.emplace(std::move(result));
  pull->news.set();
}

std::string lastLine(const Call& call, const Result<seams::PreparedImage>& result) {
  if (!result) return errorBody(call.requestId, result.error());
  return json::serialize(json::object{{"image", imageJson(call, *result)}});
}

}  // namespace

// The administrator sees what is on the machine, others what their functions are made of.
Result<Answer> listImages(const Call& call) {
  json::array out;
  for (const seams::PreparedImage& image : call.conductor.images().list()) {
    json::object one = imageJson(call, image);
    if (isAdministrator(call) || !one["inUseBy"].as_array().empty()) out.push_back(std::move(one));
  }
  return ok(json::serialize(json::object{{"images", std::move(out)}}));
}

// What else the image is called, so that the caller knows why it is still there.
net::Task<Result<Answer>> removeImage(const Call& call) {
  // Whose function may need it next is not known.
  if (!isAdministrator(call)) {
    co_return fail(ErrorKind::Denied, "images are removed by the administrator", "AccessDenied");
  }
  const std::string* reference = call.parameter("reference");
  if (reference == nullptr) {
    co_return fail(ErrorKind::Invalid, "reference: is required", "InvalidArgument");
  }
  auto& images = call.conductor.images();
  std::string digest;
  for (const seams::PreparedImage& image : images.list()) {
    if (image.reference == *reference) digest = image.digest;
  }
  auto removed = co_await images.remove(*reference, call.conductor.imagesInUse());
  if (!removed) co_return fail(removed.error());
  json::array others;
  for (const seams::PreparedImage& image : images.list()) {
    if (image.digest == digest) others.emplace_back(toJsonText(image.reference));
  }
  co_return ok(json::serialize(json::object{{"removed", toJsonText(*reference)},
                                            {"digest", toJsonText(digest)},
                                            {"alsoNamed", std::move(others)}}));
}

net::Task<Result<void>> pullImage(const Call& call, net::Exchange& exchange) {
  auto request = readPull(call.body);
  if (!request) co_return fail(request.error());
  // An import reads files of this machine: the operator's account may, whose machine it is.
  if (request->reference.starts_with("oci:") && call.account != call.conductor.settings().account) {
    co_return fail(ErrorKind::Denied, "only the operator's account may import OCI layouts",
                   "AccessDenied");
  }
  net::Loop& loop = call.conductor.loop();
  auto pull = std::make_shared<Pull>(loop);
  loop.spawn(runPull(call.conductor.images(), std::move(*request), pull));
  net::ResponseHead head;
  head.headers.add("content-type", "application/x-ndjson");
  head.headers.add("x-fc-request-id", call.requestId);
  exchange.respond(std::move(head));
  while (!pull->result || !pull->progress.empty()) {
    if (pull->progress.empty()) {
      if (auto woken = co_await pull->news.wait(); !woken) co_return woken;
      pull->news.reset();
      continue;
    }
    const seams::PullProgress progress = std::move(pull->progress.front());
    pull->progress.pop_front();
    const std::string line = json::serialize(json::object{{"step", toJsonText(progress.step)},
                                                          {"done", progress.done.count()},
                                                          {"total", progress.total.count()}}) +
                             "\n";
    if (auto sent = co_await exchange.write(line); !sent) co_return sent;
  }
  co_return co_await exchange.finish(lastLine(call, *pull->result) + "\n");
}

}  // namespace okibi::api
