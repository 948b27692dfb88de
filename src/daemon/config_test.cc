#include "daemon/config.h"

#include <gtest/gtest.h>

namespace okibi::daemon {
namespace {

TEST(Config, FileOverwritesDefaults) {
  Config config;
  ASSERT_TRUE(applyYaml(config, "listen: 127.0.0.1:9000\nqueueDeadlineSeconds: 5\n"));
  EXPECT_EQ(config.listen, "127.0.0.1:9000");
  EXPECT_EQ(config.queueDeadline, Seconds(5));
  EXPECT_EQ(config.region, "local");
  EXPECT_TRUE(validate(config));
}

TEST(Config, GroupsOfKeys) {
  Config config;
  ASSERT_TRUE(
      applyYaml(config, "images:\n  layoutRoots: [/srv/a, /srv/b]\nstartTimeoutSeconds: 5\n"));
  EXPECT_EQ(config.layoutRoots.size(), 2u);
  EXPECT_EQ(config.startTimeout, Seconds(5));
  EXPECT_TRUE(validate(config));
  EXPECT_NE(applyYaml(config, "images: {layoutRoot: [/a]}\n")
                .error()
                .message.find("did you mean 'images.layoutRoots'"),
            std::string::npos);
  EXPECT_FALSE(applyYaml(config, "images: {layoutRoots: /a}\n"));
  config.layoutRoots = {"relative"};
  EXPECT_EQ(validate(config).error().message,
            "images.layoutRoots: 'relative' is not an absolute path");
  config.layoutRoots.clear();
  config.startTimeout = Seconds(0);
  EXPECT_FALSE(validate(config));
}

TEST(Config, UnknownKeySuggestsTheNearest) {
  Config config;
  const auto applied = applyYaml(config, "region: x\nlissten: 127.0.0.1:9000\n");
  ASSERT_FALSE(applied);
  EXPECT_NE(applied.error().message.find("line 2: unknown key 'lissten'; did you mean 'listen'"),
            std::string::npos)
      << applied.error().message;
}

TEST(Config, BadValuesAreNamed) {
  Config config;
  EXPECT_FALSE(applyYaml(config, "queueDeadlineSeconds: soon\n"));
  EXPECT_FALSE(applyYaml(config, "- a\n"));
  EXPECT_FALSE(applyYaml(config, "listen: [\n"));
  ASSERT_TRUE(applyYaml(config, "keepAlive: forever\n"));
  EXPECT_EQ(validate(config).error().message, "keepAlive: 'forever' is not one of fixed, learned");
  ASSERT_TRUE(applyYaml(config, "keepAlive: learned\n"));
  EXPECT_TRUE(validate(config));
  ASSERT_TRUE(applyYaml(config, "cardTurns: 65\n"));
  EXPECT_EQ(validate(config).error().message, "cardTurns: 65 is not in 0–64");
  config.cardTurns = 1;
  config.listen = "nowhere";
  EXPECT_EQ(validate(config).error().message.substr(0, 6), "listen");
}

TEST(Config, CardTypesAreCheckedAndKeepTheirOrder) {
  Config config;
  ASSERT_TRUE(
      applyYaml(config, "cardTypes:\n  \"*A30*\": okibi.gpu.a30\n  \"*\": okibi.gpu.any\n"));
  ASSERT_EQ(config.cardTypes.size(), 2u);
  EXPECT_EQ(config.cardTypes[0].pattern, "*A30*");
  EXPECT_EQ(config.cardTypes[1].type, "okibi.gpu.any");
  EXPECT_TRUE(validate(config));
  ASSERT_TRUE(applyYaml(config, "cardTypes: {T4: fc.gpu.t4}"));
  EXPECT_EQ(validate(config).error().message.substr(0, 9), "cardTypes");
  EXPECT_FALSE(applyYaml(config, "cardTypes: T4"));
  EXPECT_FALSE(applyYaml(config, "gpuAllowanceMB: much"));
}

TEST(Config, ModelRootsOfTheFile) {
  Config config;
  ASSERT_TRUE(applyYaml(config,
                        "modelRoots:\n- {name: weights, path: /srv/models}\n"
                        "- name: b\n  path: /b\n  accounts: [\"1\", \"2\"]\n"));
  const std::vector<ModelRoot> wanted{{"weights", "/srv/models", {}}, {"b", "/b", {"1", "2"}}};
  EXPECT_EQ(config.modelRoots, wanted);
  EXPECT_TRUE(validate(config));
  config.runtime = "process";
  EXPECT_NE(validate(config).error().message.find("read-only"), std::string::npos);
  config.runtime = "native";
  config.modelRoots[0].path = "srv";
  EXPECT_EQ(validate(config).error().message, "modelRoots.weights: 'srv' is not an absolute path");
  const auto refusal = [](const char* text) {
    Config other;
    const auto applied = applyYaml(other, text);
    return applied ? "taken" : applied.error().message;
  };
  EXPECT_EQ(refusal("region: x\nmodelRoots: {a: /a}\n"),
            "configuration line 2: modelRoots is not a list");
  EXPECT_EQ(refusal("modelRoots: [{name: a, path: /a, acounts: [\"1\"]}]"),
            "configuration line 1: modelRoots has an unknown key 'acounts'; known: name, path, "
            "accounts");
  EXPECT_EQ(refusal("modelRoots: [{name: a, path: /a, accounts: []}]"),
            "configuration line 1: modelRoots has an empty list of accounts; leave it out for all");
  EXPECT_EQ(refusal("modelRoots: [{name: a, path: [/a]}]"),
            "configuration line 1: modelRoots has a value of the wrong kind");
}

TEST(Config, ModelRootsOfTheFlag) {
  const auto parsed = [](std::string_view text) {
    const auto root = parseModelRoot(text);
    EXPECT_TRUE(root) << text;
    return root ? *root : ModelRoot{};
  };
  EXPECT_EQ(parsed("w=/srv/models"), (ModelRoot{"w", "/srv/models", {}}));
  EXPECT_EQ(parsed("w=/srv/models:1,b-2"), (ModelRoot{"w", "/srv/models", {"1", "b-2"}}));
  EXPECT_EQ(parsed("w=/srv/a:b/c"), (ModelRoot{"w", "/srv/a:b/c", {}}));
  EXPECT_EQ(parsed("w=/a=b:1"), (ModelRoot{"w", "/a=b", {"1"}}));
  EXPECT_FALSE(parseModelRoot("/srv/models"));
  for (const char* bad : {"=/a", "w=", "w=a", "w=/a:", "w=/a:1,"}) {
    const std::vector<ModelRoot> roots{parsed(bad)};
    EXPECT_FALSE(validateModelRoots(roots)) << bad;
  }
}

TEST(Config, NoAuthIsRefusedOffLoopback) {
  Config config;
  config.authentication = Authentication::None;
  EXPECT_TRUE(validate(config));
  config.listen = "0.0.0.0:7070";
  EXPECT_FALSE(validate(config));
}

TEST(Config, TlsNeedsBothFilesAndAnAddress) {
  Config config;
  ASSERT_TRUE(applyYaml(config,
                        "listenTls: 127.0.0.1:7443\ntls: {certificate: /a.crt, key: /a.key}\n"
                        "hostNames: [api.example.com]\n"));
  EXPECT_EQ(config.tlsCertificate, "/a.crt");
  EXPECT_EQ(config.hostNames, std::vector<std::string>{"api.example.com"});
  EXPECT_TRUE(validate(config));
  config.tlsKey.clear();
  EXPECT_EQ(validate(config).error().message, "tls.key: is required with tls.certificate");
  config.tlsCertificate.clear();
  EXPECT_TRUE(validate(config));
  config.listenTls = "nowhere";
  EXPECT_EQ(validate(config).error().message.substr(0, 9), "listenTls");
  config.listenTls = "0.0.0.0:7443";
  EXPECT_TRUE(validate(config));
  config.authentication = Authentication::None;
  EXPECT_FALSE(validate(config));
  config = {};
  config.tlsCertificate = config.tlsKey = "/a";
  EXPECT_FALSE(validate(config));
}

}  // namespace
}  // namespace okibi::daemon
