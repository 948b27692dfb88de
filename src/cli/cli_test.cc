// The parts of the client that need no daemon.

#include "cli/cli.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/concurrency.h"
#include "cli/credentials.h"
#include "cli/deploy_file.h"
#include "cli/dial.h"
#include "cli/log_window.h"
#include "cli/numbers.h"
#include "cli/table.h"
#include "cli/waterfall.h"
#include "net/testing.h"

namespace okibi::cli {
namespace {

constexpr std::string_view kYaml = R"(
edition: 3.0.0
name: gpu-local
access: default
vars:
  region: cn-hangzhou
resources:
  infer:
    component: fc3
    props:
      region: ${vars.region}
      endpoint: http://127.0.0.1:19000
      functionName: "007"
      description: in ${vars.region}
      runtime: custom-container
      cpu: 0.35
      memorySize: 16384
      internetAccess: true
      gpuConfig: { gpuType: fc.gpu.tesla.1, gpuMemorySize: 4096 }
      customContainerConfig:
        image: localhost:5000/gpu/infer:v1
        port: 9000
        command: [serve, "8"]
        healthCheckConfig: { httpGetUrl: /readyz, periodSeconds: 3 }
      environmentVariables: { MODEL: resnet50, LEVEL: 3, ON: true }
      logConfig: auto
      tags:
        - { key: team, value: ai }
      triggers:
        - triggerName: http
          triggerType: http
          triggerConfig: { authType: anonymous, methods: [GET, POST], disableURLInternet: false }
      concurrencyConfig: { reservedConcurrency: 4 }
)";

std::string replaced(std::string_view from, std::string_view to) {
  std::string yaml(kYaml);
  yaml.replace(yaml.find(from), from.size(), to);
  return yaml;
}

std::string errorOf(const std::string& yaml) {
  auto plans = readDeployFile(yaml);
  return plans ? "no error" : plans.error().message;
}

TEST(DeployFile, BodiesOfTheRequests) {
  auto plans = readDeployFile(kYaml);
  ASSERT_TRUE(plans) << plans.error().message;
  ASSERT_EQ(plans->size(), 1u);
  const FunctionPlan& plan = plans->front();
  EXPECT_EQ(plan.name, "007");
  EXPECT_EQ(Json(plan.create), boost::json::parse(R"({
    "functionName":"007","description":"in cn-hangzhou","runtime":"custom-container","cpu":0.35,
    "memorySize":16384,"internetAccess":true,"handler":"not-used",
    "gpuConfig":{"gpuType":"fc.gpu.tesla.1","gpuMemorySize":4096},
    "customContainerConfig":{"image":"localhost:5000/gpu/infer:v1","port":9000,
      "command":["serve","8"],"healthCheckConfig":{"httpGetUrl":"/readyz","periodSeconds":3}},
    "environmentVariables":{"MODEL":"resnet50","LEVEL":"3","ON":"true"},
    "tags":[{"Key":"team","Value":"ai"}]})"));
  EXPECT_FALSE(plan.update.contains("functionName"));
  EXPECT_FALSE(plan.update.contains("tags"));
  EXPECT_TRUE(plan.update.contains("gpuConfig"));
  ASSERT_EQ(plan.triggers.size(), 1u);
  const Json& config = plan.triggers[0].create.at("triggerConfig");
  ASSERT_TRUE(config.is_string());
  EXPECT_EQ(boost::json::parse(config.get_string()),
            boost::json::parse(
                R"({"authType":"anonymous","methods":["GET","POST"],"disableURLInternet":false})"));
  EXPECT_FALSE(plan.triggers[0].update.contains("triggerName"));
  EXPECT_EQ(plan.notes.size(), 2u);
}

TEST(DeployFile, TheOkibiSectionIsPartOfTheBodies) {
  const std::string own =
      R"(okibi: {weight: 3, modelDirectories: [{name: weights, subdirectory: "3", mountDir: /models}]})";
  auto plans = readDeployFile(
      replaced("runtime: custom-container", "runtime: custom-container\n      " + own));
  ASSERT_TRUE(plans) << plans.error().message;
  const Json wanted = boost::json::parse(
      R"({"weight":3,
          "modelDirectories":[{"name":"weights","subdirectory":"3","mountDir":"/models"}]})");
  EXPECT_EQ(plans->front().create.at("okibi"), wanted);
  EXPECT_EQ(plans->front().update.at("okibi"), wanted);
  EXPECT_NE(
      errorOf(replaced("runtime: custom-container",
                       "runtime: custom-container\n      okibi: {modelDirectories: [{nam: a}]}"))
          .find("did you mean 'name'?"),
      std::string::npos);
  EXPECT_NE(errorOf(replaced("runtime: custom-container",
                             "runtime: custom-container\n      okibi: {weight: heavy}"))
                .find("okibi.weight: 'heavy' is not a number"),
            std::string::npos);
}

TEST(DeployFile, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(errorOf(replaced("memorySize: ", "weight: 3\n      memorySize: ")),
            "resources.infer.props: 'weight' is not known here; it belongs in okibi");
  EXPECT_EQ(errorOf(replaced("memorySize", "memorysize")),
            "resources.infer.props: unknown key 'memorysize'; did you mean 'memorySize'?");
  EXPECT_EQ(errorOf(replaced("gpuMemorySize", "gpuMemory")),
            "resources.infer.props.gpuConfig: unknown key 'gpuMemory'; "
            "did you mean 'gpuMemorySize'?");
  EXPECT_EQ(errorOf(replaced("16384", "lots")),
            "resources.infer.props.memorySize: 'lots' is not a number");
  EXPECT_EQ(errorOf(replaced("internetAccess: true", "internetAccess: yes")),
            "resources.infer.props.internetAccess: 'yes' is neither true nor false");
  EXPECT_EQ(errorOf(replaced("runtime: custom-container", "")),
            "resources.infer.props: runtime is missing");
  EXPECT_NE(errorOf(replaced("in ${vars.region}", "${vars.nope}")).find("no such text under vars"),
            std::string::npos);
  EXPECT_NE(errorOf(replaced("component: fc3", "component: fc")).find("only fc3"),
            std::string::npos);
  EXPECT_NE(errorOf("a: [1"), "no error");
  EXPECT_NE(errorOf("just text"), "no error");
  EXPECT_EQ(errorOf("resources: {}"), "resources: missing or empty");
}

TEST(Numbers, SizesCountsTimes) {
  EXPECT_EQ(*parseSize("4G"), Bytes::gib(4));
  EXPECT_EQ(*parseSize("1.5 GB"), Bytes::mib(1536));
  EXPECT_EQ(*parseSize("512"), Bytes::mib(512));
  for (const char* bad : {"", "G", "0", "-1G", "4T", "nan", "1e400", "2000000G"}) {
    EXPECT_FALSE(parseSize(bad)) << bad;
  }
  EXPECT_EQ(*parseCount("50,000"), 50'000);
  for (const char* bad : {"", "1.5", "-1", "9999999999", "12x"}) EXPECT_FALSE(parseCount(bad));
  EXPECT_EQ(*parseSeconds("300ms"), Duration(300ms));
  EXPECT_EQ(*parseSeconds("0.25"), Duration(250ms));
  EXPECT_FALSE(parseSeconds("2h"));
  EXPECT_FALSE(parseSeconds("86401"));
}

TEST(Numbers, Shown) {
  EXPECT_EQ(formatMoney(0.2592, "USD"), "0.2592 USD");
  EXPECT_EQ(formatMoney(48, "USD"), "48.00 USD");
  EXPECT_EQ(formatMegabytes(1536), "1.5 GB");
  EXPECT_EQ(formatMegabytes(512), "512 MB");
  EXPECT_EQ(formatMilliseconds(12.34), "12.3 ms");
  EXPECT_EQ(formatMilliseconds(1250), "1.25 s");
  EXPECT_EQ(formatMilliseconds(200'000), "3 min 20 s");
  EXPECT_EQ(formatCount(1234567), "1,234,567");
  EXPECT_EQ(formatMoney(2784.123456, "USD"), "2,784.12 USD");
  EXPECT_EQ(formatMoney(0.000036, "USD"), "0.000036 USD");
  EXPECT_EQ(formatPercent(0.999991), ">99.99%");
  EXPECT_EQ(formatPercent(1), "100.00%");
  EXPECT_EQ(formatPercent(0.00001), "<0.01%");
  EXPECT_EQ(formatPercent(0), "0.00%");
}

TEST(TableText, AlignsAndDisarms) {
  Table table({left("NAME"), right("SIZE"), left("NOTE")});
  table.add({"é", "1 MB", ""});
  table.add({"long", "10 MB", "a\x1b[31m"});
  EXPECT_EQ(table.text(),
            "NAME   SIZE  NOTE\n"
            "é      1 MB\n"
            "long  10 MB  a?[31m\n");
}

TEST(Waterfall, PartsAreAsLongAsTheyTook) {
  const std::array parts{WaterfallPart{'a', 1}, WaterfallPart{'b', 0.01}, WaterfallPart{'c', 3}};
  EXPECT_EQ(waterfall(parts, 4.01, 8), "aacccccc");
  EXPECT_EQ(waterfall(parts, 8.02, 8), "accc");
  EXPECT_EQ(waterfall(parts, 0, 8), "");
}

TEST(Concurrency, GroupsCallsByHowManyWereUnderWay) {
  const WallTime zero{};
  std::vector<CallTimes> calls;
  // Five at once, the first two cold; a minute later one alone, cold.
  for (int i = 0; i < 5; ++i) {
    calls.push_back({zero + std::chrono::milliseconds(i), Duration(1s),
                     i < 2 ? CallTimes::Start::Cold : CallTimes::Start::Warm});
  }
  calls.push_back({zero + std::chrono::minutes(1), Duration(1s), CallTimes::Start::Cold});
  const std::vector<ConcurrencyShare> shares = coldByConcurrency(calls);
  ASSERT_EQ(shares.size(), 3u);
  EXPECT_EQ(std::pair(shares[0].calls, shares[0].cold), std::pair(2, 2));  // 1 at once
  EXPECT_EQ(std::pair(shares[1].calls, shares[1].cold), std::pair(3, 1));  // 2 to 4
  EXPECT_EQ(std::pair(shares[2].calls, shares[2].cold), std::pair(1, 0));  // 5 to 9
}

TEST(CredentialsFile, IsPrivateAndComesBack) {
  char folder[] = "/tmp/okibi-cli-XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  std::string path = std::string(folder) + "/deeper/credentials";
  EXPECT_EQ(*loadCredentials(path), Credentials());
  Credentials stored{.endpoint = "https://127.0.0.1:9",
                     .accessKeyId = "OKBIx",
                     .secret = "s=1",
                     .token = "t",
                     .authorities = "/ca.pem"};
  ASSERT_TRUE(storeCredentials(path, stored));
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(*loadCredentials(path), stored);
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  ASSERT_FALSE(loadCredentials(path));
  EXPECT_EQ(loadCredentials(path).error().kind, ErrorKind::Denied);
  std::filesystem::remove_all(folder);
  EXPECT_NE(parseCredentials("\nendpint = x").error().message.find("line 2"), std::string::npos);
}

TEST(CredentialsChoice, FlagThenEnvironmentThenFile) {
  const Credentials file{
      .endpoint = "f:1", .accessKeyId = "F", .secret = "FS", .token = "FT", .authorities = "/f"};
  const Credentials environment{.endpoint = "e:2", .accessKeyId = "E", .secret = "ES"};
  const Credentials flags{.endpoint = "http://flag:3/", .accessKeyId = {}, .secret = {}};
  EXPECT_EQ(resolveCredentials(flags, environment, file)->endpoint, "flag:3");
  const Credentials mixed = resolveCredentials({}, environment, file).value();
  EXPECT_EQ(mixed.accessKeyId, "E");
  EXPECT_EQ(mixed.token, "") << "the token of another key";
  EXPECT_EQ(mixed.authorities, "/f");
  EXPECT_EQ(*resolveCredentials({}, {}, file), file);
  EXPECT_EQ(resolveCredentials({}, {}, {})->endpoint, "127.0.0.1:7070");
  EXPECT_FALSE(resolveCredentials({}, {.endpoint = "", .accessKeyId = "E", .secret = ""}, file));
  EXPECT_EQ(*normalizeEndpoint("[::1]"), "[::1]:7070");
  EXPECT_EQ(*normalizeEndpoint("https://a/"), "https://a:443");
  EXPECT_EQ(*normalizeEndpoint("https://[::1]:7443"), "https://[::1]:7443");
  EXPECT_FALSE(normalizeEndpoint("https://"));
  EXPECT_FALSE(normalizeEndpoint("a/b"));
}

TEST(CredentialsChoice, AnEndpointHasSchemeAndHost) {
  const Endpoint plain = endpointOf("a:1");
  EXPECT_EQ(plain.scheme, Endpoint::Scheme::Http);
  EXPECT_EQ(plain.authority, "a:1");
  EXPECT_EQ(plain.host, "a");
  const Endpoint secret = endpointOf("https://[::1]:443");
  EXPECT_EQ(secret.scheme, Endpoint::Scheme::Https);
  EXPECT_EQ(secret.authority, "[::1]:443");
  EXPECT_EQ(secret.host, "::1");
}

TEST(Answers, FailuresKeepCodeAndExit) {
  ApiAnswer denied{.status = 403,
                   .headers = {{"x-fc-request-id", "1-a"}},
                   .body = R"({"Code":"SignatureNotMatch","Message":"no"})"};
  Failure failure = answerFailure(denied);
  EXPECT_EQ(failure.exit, Exit::Denied);
  EXPECT_TRUE(describe(failure).starts_with("okibi: SignatureNotMatch: no (request id 1-a)"));
  EXPECT_EQ(answerFailure({.status = 502, .headers = {}, .body = "<html>"}).code, "HTTP 502");
  EXPECT_EQ(queryText({{"a", "x y"}, {"b", ""}, {"c", "1"}}), "a=x%20y&c=1");
}

TEST(LogWindow, FindsWhereTheNewLinesBegin) {
  EXPECT_EQ(countKnown({}, {"a"}), 0u);
  EXPECT_EQ(countKnown({"a", "b"}, {"b", "c"}), 1u);
  EXPECT_EQ(countKnown({"a", "b"}, {"a", "b", "c"}), 2u);
  EXPECT_EQ(countKnown({"a"}, {"x"}), 0u);
}

int runWith(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "okibi");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  return run(static_cast<int>(arguments.size()), argv.data());
}

TEST(Run, ExitCodes) {
  ::setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
  ::unsetenv("OKIBI_ENDPOINT");
  ::unsetenv("OKIBI_ACCESS_KEY_ID");
  ::unsetenv("OKIBI_ACCESS_KEY_SECRET");
  EXPECT_EQ(runWith({"--help"}), 0);
  EXPECT_EQ(runWith({"version"}), 0);
  EXPECT_EQ(runWith({"fly"}), 2);
  EXPECT_EQ(runWith({}), 2);
  EXPECT_EQ(runWith({"estimate", "--calls-per-day", "x", "--seconds", "1", "--gpu", "4G"}), 2);
  EXPECT_EQ(runWith({"ls", "--endpoint", "127.0.0.1:1"}), 3);
  EXPECT_EQ(runWith({"deploy", "-f", "/nonexistent/s.yaml"}), 2);
}

TEST(Run, EstimateRefusesSlicesThatNoCardHas) {
  for (const char* size : {"512M", "1.5G", "500G"}) {
    EXPECT_EQ(runWith({"estimate", "--calls-per-day", "1", "--seconds", "1", "--gpu", size}), 2);
  }
  EXPECT_EQ(runWith({"estimate", "--calls-per-day", "1", "--seconds", "1", "--gpu", "17G",
                     "--gpu-type", "fc.gpu.tesla.1"}),
            2);
  EXPECT_EQ(runWith({"estimate", "--calls-per-day", "1", "--seconds", "1", "--gpu", "4G",
                     "--gpu-type", "none"}),
            2);
}

TEST(Run, EstimateOfTheIssue) {
  ::testing::internal::CaptureStdout();
  int code = runWith({"estimate", "--calls-per-day", "3600", "--seconds", "1", "--gpu", "4G"});
  std::string shown = ::testing::internal::GetCapturedStdout();
  EXPECT_EQ(code, 0);
  for (const char* part : {"0.2592 USD", "48.00 USD", "4.17%", "99.46%"}) {
    EXPECT_NE(shown.find(part), std::string::npos) << part << " in\n" << shown;
  }
}

// A name with two addresses, of which the server has one.
TEST(Dial, TriesEachAddressInTurn) {
  net::Loop loop(1);
  auto listener = net::Listener::open(loop, *net::SocketAddress::parse("127.0.0.1:0"));
  ASSERT_TRUE(listener) << listener.error().message;
  const net::SocketAddress there = listener->address();
  const auto nobody = *net::SocketAddress::parse(fmt::format("127.0.0.2:{}", there.port()));
  net::testing::runOn(loop, [&]() -> net::Task<void> {
    auto socket = co_await dial(loop, {nobody, there}, 10s);
    EXPECT_TRUE(socket) << socket.error().message;
    EXPECT_EQ(socket->peer().toString(), there.toString());
    auto none = co_await dial(loop, {nobody, nobody}, 10s);
    EXPECT_EQ(none.error().kind, ErrorKind::Unavailable);
    EXPECT_FALSE(co_await dial(loop, {}, 10s));
  });
}

TEST(Dial, LocalhostIsBothLoopbacks) {
  const auto both = resolve("localhost:7070");
  ASSERT_TRUE(both) << both.error().message;
  ASSERT_EQ(both->size(), 2u);
  EXPECT_EQ((*both)[0].toString(), "127.0.0.1:7070");
  EXPECT_EQ((*both)[1].toString(), "[::1]:7070");
  EXPECT_EQ(resolve("10.1.2.3:80")->front().toString(), "10.1.2.3:80");
  EXPECT_FALSE(resolve("localhost:seventy"));
  EXPECT_FALSE(resolve("name.invalid:80"));
}

}  // namespace
}  // namespace okibi::cli
