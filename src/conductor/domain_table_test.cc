#include "conductor/domain_table.h"

#include <gtest/gtest.h>

#include "seams/fake_state_store.h"

namespace okibi::conductor {
namespace {

class DomainTableTest : public testing::Test {
 protected:
  DomainTableTest() {
    for (const char* account : {"a", "b"}) EXPECT_TRUE(store_.addAccount({account, {}}));
    table_.reserve({"api.example.com", ".fn.example.com"});
  }
  std::string make(const std::string& account, std::string_view name) {
    const auto made = table_.create(account, name, {});
    return made ? "made" : made.error().code;
  }
  std::string at(std::string_view host) const {
    const Domain* domain = table_.find(host);
    return domain == nullptr ? "none" : domain->name;
  }

  seams::FakeStateStore store_;
  ResourceMap resources_{store_};
  DomainTable table_{resources_};
};

TEST_F(DomainTableTest, HostsFindTheirDomain) {
  EXPECT_EQ(at("www.example.com"), "none");
  EXPECT_EQ(make("a", "WWW.Example.com"), "made");
  EXPECT_EQ(make("a", "*.example.com"), "made");
  EXPECT_EQ(at("www.example.com"), "www.example.com");
  EXPECT_EQ(at("wWw.eXample.com.:8080"), "www.example.com");
  EXPECT_EQ(at("else.example.com:443"), "*.example.com");
  for (const char* host : {"example.com", "a.b.example.com", "*.example.com", "", ":80", "[::1]:80",
                           "api.example.com", "api.example.com:7070", "fn.example.com"}) {
    EXPECT_EQ(at(host), "none") << host;
  }
  EXPECT_TRUE(table_.remove("a", "www.example.com"));
  EXPECT_EQ(at("www.example.com"), "*.example.com");
}

TEST_F(DomainTableTest, NamesThatAreNobodys) {
  for (const char* name : {"",
                           "localhost",
                           "x.localhost",
                           "127.0.0.1",
                           "10.0.0.1",
                           "[::1]",
                           "example",
                           "a..com",
                           ".com",
                           "a.com.",
                           "a_b.c",
                           "-a.com",
                           "a-.com",
                           "a.*.com",
                           "*.*.com",
                           "*",
                           "*.com",
                           "ä.com",
                           "a b.com",
                           "a.com:80",
                           "a/b.com",
                           "api.example.com",
                           "x.fn.example.com",
                           "*.fn.example.com",
                           "fn.example.com"}) {
    EXPECT_EQ(make("a", name), "InvalidArgument") << name;
  }
  EXPECT_EQ(make("a", std::string(250, 'a') + ".com"), "InvalidArgument");
}

TEST_F(DomainTableTest, ANameBelongsToOneAccount) {
  EXPECT_EQ(make("a", "www.example.com"), "made");
  EXPECT_EQ(make("a", "www.example.com"), "DomainNameAlreadyExists");
  EXPECT_EQ(make("b", "www.example.com"), "AccessDenied");
  EXPECT_EQ(make("b", "*.example.com"), "AccessDenied");
  EXPECT_EQ(make("b", "*.other.com"), "made");
  EXPECT_EQ(make("a", "x.other.com"), "AccessDenied");
  EXPECT_EQ(make("b", "x.other.com"), "made");
  EXPECT_EQ(table_.get("b", "www.example.com").error().code, "DomainNameNotFound");
  EXPECT_EQ(table_.update("b", "www.example.com", {}).error().code, "DomainNameNotFound");
  EXPECT_EQ(table_.remove("b", "www.example.com").error().code, "DomainNameNotFound");
  EXPECT_EQ(table_.of("b").size(), 2);
  EXPECT_TRUE(table_.remove("a", "WWW.example.com"));
  EXPECT_EQ(make("b", "www.example.com"), "made");
}

TEST_F(DomainTableTest, IsThereAfterARestart) {
  CustomDomain config;
  config.routes.push_back({"/*", "f", "LATEST", {}, {}, {}, {}});
  ASSERT_TRUE(table_.create("a", "www.example.com", config));
  ResourceMap resources(store_);
  ASSERT_TRUE(resources.load());
  DomainTable again(resources);
  again.load();
  const Domain* domain = again.find("www.example.com");
  ASSERT_NE(domain, nullptr);
  EXPECT_EQ(domain->account, "a");
  EXPECT_EQ(*domain->config, config);
  EXPECT_EQ(domain->routes.follow("/x").route->function, "f");
}

TEST_F(DomainTableTest, AFailedWriteChangesNothing) {
  ASSERT_EQ(make("a", "www.example.com"), "made");
  store_.failWrites(2, {ErrorKind::Internal, "disk", ""});
  CustomDomain config;
  config.protocol = DomainProtocol::Both;
  EXPECT_FALSE(table_.update("a", "www.example.com", config));
  EXPECT_FALSE(table_.create("a", "new.example.com", {}));
  EXPECT_EQ(table_.find("www.example.com")->config->protocol, DomainProtocol::Http);
  EXPECT_EQ(at("new.example.com"), "none");
}

}  // namespace
}  // namespace okibi::conductor
