#pragma once
// Random functions with every field set to something, for tests.

#include <string>

#include "base/random.h"
#include "model/function.h"
#include "model/resource.h"

namespace okibi::store {

inline std::string randomText(Random& random) {
  static const std::string pieces[] = {"a", "Z9", " ",  "\"",   "\\", "\n",
                                       "{", "é",  "中", "\x01", "/"};
  std::string text;
  for (auto n = random.between(0, 8); n > 0; --n) text += pieces[random.between(0, 10)];
  return text;
}

inline std::vector<std::string> randomTexts(Random& random) {
  std::vector<std::string> texts(static_cast<std::size_t>(random.between(0, 3)));
  for (auto& text : texts) text = randomText(random);
  return texts;
}

inline Hook randomHook(Random& random) {
  return {randomText(random), randomTexts(random), Seconds(random.between(0, 300))};
}

inline FunctionSpec randomSpec(Random& random) {
  FunctionSpec spec;
  spec.name = randomText(random);
  spec.handler = randomText(random);
  spec.runtime = randomText(random);
  spec.description = randomText(random);
  spec.cpu = MilliCpu{static_cast<int>(random.between(0, 64000))};
  spec.memory = Bytes(random.between(0, INT64_MAX - 1));
  spec.disk = Bytes(random.between(0, 1 << 30));
  if (random.chance(0.5)) spec.gpu = GpuConfig{randomText(random), Bytes::gib(4)};
  spec.concurrency = static_cast<int>(random.between(1, 200));
  spec.timeout = Seconds(random.between(1, 86400));
  spec.idleTimeout = Seconds(random.between(1, 3600));
  spec.onDemand = random.chance(0.5);
  spec.internetAccess = random.chance(0.5);
  spec.container.image = randomText(random);
  spec.container.port = static_cast<int>(random.between(1, 65535));
  spec.container.entrypoint = randomTexts(random);
  spec.container.command = randomTexts(random);
  spec.container.accelerationType = randomText(random);
  if (random.chance(0.5)) {
    spec.container.healthCheck = HealthCheck{
        randomText(random), Seconds(1), Seconds(2), Seconds(random.between(1, 9)), 4, 5};
  }
  if (random.chance(0.5)) {
    spec.container.registryAuth = RegistryAuth{randomText(random), randomText(random)};
  }
  spec.initializer = randomHook(random);
  spec.preStop = randomHook(random);
  for (auto n = random.between(0, 3); n > 0; --n) {
    spec.environment[randomText(random)] = randomText(random);
    spec.tags[randomText(random)] = randomText(random);
  }
  for (auto n = random.between(0, 3); n > 0; --n) {
    spec.modelDirectories.push_back({randomText(random), randomText(random), randomText(random)});
  }
  if (random.chance(0.5)) spec.weight = static_cast<int>(random.between(1, 100));
  spec.inertFields = randomText(random);
  return spec;
}

inline Function randomFunction(Random& random, FunctionRef ref) {
  Function function;
  function.ref = std::move(ref);
  function.functionId = randomText(random);
  function.spec = randomSpec(random);
  function.state = static_cast<FunctionState>(random.between(0, 2));
  function.stateReason = randomText(random);
  function.stateReasonCode = randomText(random);
  function.lastUpdate = static_cast<UpdateStatus>(random.between(0, 2));
  function.lastUpdateReason = randomText(random);
  function.lastUpdateReasonCode = randomText(random);
  function.imageDigest = randomText(random);
  function.revision = random.next() >> 1;
  if (random.chance(0.5)) function.active = randomSpec(random);
  function.activeRevision = random.next() >> 1;
  function.created = WallTime(std::chrono::milliseconds(random.between(0, 1LL << 42)));
  function.modified = WallTime(std::chrono::milliseconds(random.between(0, 1LL << 42)));
  return function;
}

inline WallTime randomTime(Random& random) {
  return WallTime(std::chrono::milliseconds(random.between(0, 1LL << 42)));
}

inline std::optional<WallTime> maybeTime(Random& random) {
  if (random.chance(0.5)) return std::nullopt;
  return randomTime(random);
}

inline MinimumConfig randomMinimum(Random& random) {
  MinimumConfig config;
  config.scaling = random.chance(0.5);
  config.minimum = static_cast<int>(random.between(0, 10'000));
  config.alwaysCpu = random.chance(0.5);
  config.alwaysGpu = random.chance(0.5);
  config.onDemandScaling = random.chance(0.5);
  for (auto n = random.between(0, 3); n > 0; --n) {
    config.schedules.push_back({randomText(random), randomText(random), randomText(random),
                                maybeTime(random), maybeTime(random),
                                static_cast<int>(random.between(0, 9)), randomText(random),
                                randomText(random)});
    config.tracking.push_back(
        {randomText(random), randomText(random), randomText(random), maybeTime(random),
         maybeTime(random), random.between(0, 1'000'000), static_cast<int>(random.between(0, 9)),
         static_cast<int>(random.between(0, 9)), randomText(random), randomText(random)});
  }
  config.dispatchPolicy = randomText(random);
  return config;
}

inline CustomDomain randomDomain(Random& random) {
  const auto text = [&] { return randomText(random); };
  CustomDomain domain;
  domain.protocol = static_cast<DomainProtocol>(random.between(0, 2));
  for (auto n = random.between(0, 3); n > 0; --n) {
    domain.routes.push_back({text(),
                             text(),
                             text(),
                             {text(), text()},
                             {{text(), text()}},
                             {{text(), text()}, {text(), text()}},
                             {{text(), text()}}});
  }
  if (random.chance(0.5)) domain.certificate = {text(), text(), text()};
  if (random.chance(0.5)) domain.tls = {text(), text(), {text()}};
  domain.http.auth = static_cast<HttpAuth>(random.between(0, 4));
  if (random.chance(0.5)) domain.http.cors.emplace().origins = {text()};
  domain.authInfo = text();
  domain.authGiven = random.chance(0.5);
  domain.created = randomTime(random);
  domain.modified = randomTime(random);
  return domain;
}

inline Role randomRole(Random& random) {
  Role role;
  role.id = randomText(random);
  for (auto n = random.between(0, 3); n > 0; --n) {
    role.grants.push_back({randomText(random), randomText(random)});
  }
  role.created = randomTime(random);
  role.modified = randomTime(random);
  return role;
}

// One of each kind, in order of Resource.
inline std::vector<Resource> randomResources(Random& random) {
  const auto text = [&] { return randomText(random); };
  return {Version{randomSpec(random), text(), text(), randomTime(random)},
          Alias{text(),
                {{text(), random.between(0, 1'000'000)}},
                text(),
                randomTime(random),
                randomTime(random)},
          VersionCounter{random.between(0, 1 << 30)},
          InvocationRestriction{random.chance(0.5), text(), randomTime(random)},
          randomMinimum(random),
          ConcurrencyCap{static_cast<int>(random.between(0, 300))},
          AsyncConfig{static_cast<int>(random.between(0, 8)), Seconds(random.between(1, 604'800)),
                      randomTime(random), randomTime(random)},
          QuotaRequest{text(), random.between(0, 99), random.between(0, 99), text(), text(), text(),
                       randomTime(random), randomTime(random)},
          randomDomain(random),
          randomRole(random)};
}

}  // namespace okibi::store
