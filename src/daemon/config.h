#pragma once
// The daemon's configuration: one struct is the schema. A YAML file (--config) overwrites the
// defaults, flags overwrite the file. Keys of the file are the names in the comments; unknown keys
// are errors that suggest the nearest.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "gpu/card_naming.h"
#include "model/function.h"
#include "model/model_directory.h"

namespace okibi::daemon {

enum class Authentication { Signature, None };

constexpr int kCardTurnsMax = 64;

struct Config {
  std::string listen = "127.0.0.1:7070";  // listen
  std::string listenTls;                  // listenTls; empty: no TLS
  // tls.certificate, tls.key: PEM files for the daemon's own names, read again when they change;
  // empty: over TLS only custom domains with certificates are served
  std::filesystem::path tlsCertificate, tlsKey;
  std::filesystem::path stateDirectory = "/var/lib/okibi";  // stateDir
  std::string simulatedCards;                               // simulatedCards: "fc.gpu.tesla.1=2"
  std::filesystem::path nvmlLibrary = "libnvidia-ml.so.1";  // nvmlLibrary: file or loader's name
  std::vector<gpu::CardRule> cardTypes;  // cardTypes: {"NVIDIA A30": "okibi.gpu.a30"}; '*' any text
  std::vector<std::filesystem::path> cdiDirectories{"/etc/cdi", "/var/run/cdi"};  // cdiDirectories
  std::string
      shim;  // shim: libokibi_shim.so; empty: beside this binary; "none": slices are watched
  Bytes gpuContext = Bytes::mib(256);    // gpuContextMB: of a slice for each CUDA context, 0–4096
  Bytes gpuAllowance = Bytes::mib(768);  // gpuAllowanceMB: above a slice before the kill, 0–16384
  std::filesystem::path priceFile;       // prices: price book; empty: built in
  Authentication authentication = Authentication::Signature;  // insecureNoAuth: true
  std::string account = "1000000000000001";                   // account: of the first key
  std::string region = "local";                               // region
  std::string publicDomain;  // publicDomain: of HTTP triggers; empty: okibi.localhost
  // hostNames: names of this daemon's API, which no custom domain may take; the machine's own is
  // one
  std::vector<std::string> hostNames;
  Seconds queueDeadline = limits::kQueueDeadlineDefault;  // queueDeadlineSeconds: 1–3600
  // cardTurns: instances that compute on one card at once, each in proportion to its slice; 0: all,
  // as the driver shares the card
  int cardTurns = 0;
  // keepAlive: "fixed": an idle instance is released after its function's idleTimeout; "learned":
  // by what arrivals were like, sooner or later, at no more idle time in sum (docs/decisions/0005)
  std::string keepAlive = "fixed";
  Seconds drainDeadline{30};                      // drainSeconds: 0–86400
  Seconds startTimeout = limits::kListenTimeout;  // startTimeoutSeconds: 1–3600, until it listens
  // images.layoutRoots: folders below which functions may name OCI layouts; empty: imported ones
  // only
  std::vector<std::filesystem::path> layoutRoots;
  // modelRoots: [{name: weights, path: /srv/models, accounts: ["1000000000000001"]}]: folders that
  // functions may be given to read, by name; without accounts: all may
  std::vector<ModelRoot> modelRoots;
  std::string logLevel = "info";  // logLevel: debug, info, warning, error
  // runtime: "native": sandboxes; "process": plain processes, which nothing isolates or limits
  std::string runtime = "native";
  std::filesystem::path launcher;  // launcher: okibi-launcher; empty: beside this binary
};

// Overwrites `config` from YAML text. Invalid names line and key.
Result<void> applyYaml(Config& config, const std::string& text);
Result<void> applyYamlFile(Config& config, const std::filesystem::path& file);
// "NAME=PATH" or "NAME=PATH:ACCOUNT,ACCOUNT". Invalid.
Result<ModelRoot> parseModelRoot(std::string_view text);
// The rules between values. Invalid.
Result<void> validate(const Config& config);
// Whether the model roots are folders of this machine, and none shows the state directory, which
// must exist. NotFound, Invalid.
Result<void> checkModelRoots(const Config& config);

}  // namespace okibi::daemon
