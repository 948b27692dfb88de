#include "api/operations.h"

#include <fstream>
#include <set>
#include <sstream>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "base/encoding.h"

namespace okibi::api {
namespace {

std::vector<std::string> pathOf(std::string_view text) {
  std::vector<std::string> out;
  for (std::string_view part : split(text, '/')) out.emplace_back(part);
  return out;
}

TEST(Operations, AreThoseOfTheDocument) {
  std::ifstream in(OKIBI_OPENAPI);
  std::ostringstream text;
  text << in.rdbuf();
  const auto document = boost::json::parse(text.str());
  std::set<std::string> written, served;
  const std::string version = "/2023-03-30/";
  for (const auto& [path, methods] : document.at("paths").as_object()) {
    if (!path.starts_with(version)) continue;
    for (const auto& [method, operation] : methods.as_object()) {
      written.insert(std::string(method) + " " + std::string(path.substr(version.size())) + " " +
                     std::string(operation.at("operationId").as_string()));
    }
  }
  for (const Operation& one : operations()) {
    served.insert(toLower(one.method) + " " + std::string(one.path) + " " +
                  std::string(one.action));
  }
  EXPECT_EQ(served, written);
}

TEST(Operations, AreFoundByMethodAndPath) {
  EXPECT_EQ(actionOf("DELETE", pathOf("functions/f")), "DeleteFunction");
  EXPECT_EQ(actionOf("GET", pathOf("functions/f")), "GetFunction");
  EXPECT_EQ(actionOf("GET", pathOf("functions")), "ListFunctions");
  EXPECT_EQ(actionOf("PUT", pathOf("functions/triggers/triggers/functions")), "UpdateTrigger");
  EXPECT_EQ(actionOf("POST", pathOf("functions/f/invoke/disable")), "DisableFunctionInvocation");
  EXPECT_EQ(actionOf("POST", {"functions", "f/invoke/disable"}), "");
  EXPECT_EQ(actionOf("HEAD", pathOf("functions/f")), "");
  EXPECT_EQ(actionOf("GET", pathOf("functions/f/code")), "");
  EXPECT_EQ(actionOf("GET", {}), "");
}

}  // namespace
}  // namespace okibi::api
