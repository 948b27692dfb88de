#include "net/loopback_name.h"

#include <gtest/gtest.h>

namespace okibi::net {
namespace {

TEST(LoopbackName, NamesOfThisMachine) {
  for (std::string_view name :
       {"127.0.0.1", "127.0.0.1:7070", "localhost", "localhost:7070", "[::1]", "[::1]:7070",
        "label.local.okibi.localhost:7070", "http://localhost:3000", "http://127.0.0.1"}) {
    EXPECT_TRUE(isLoopbackName(name)) << name;
  }
}

TEST(LoopbackName, EverythingElseIsAStranger) {
  for (std::string_view name :
       {"", "null", "example.com", "127.0.0.1.example.com", "localhost.example.com", "notlocalhost",
        "http://example.com", "https://example.com", "file://", "[::1", "[::2]", "10.0.0.1",
        "example.com:127.0.0.1"}) {
    EXPECT_FALSE(isLoopbackName(name)) << name;
  }
}

}  // namespace
}  // namespace okibi::net
