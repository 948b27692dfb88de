// The server over TLS, as OpenSSL's own client sees it.

#include "net/tls.h"

#include <atomic>
#include <csignal>
#include <map>
#include <thread>

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/testing_certificates.h"
#include "base/encoding.h"
#include "net/event.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/testing.h"
#include "net/virtual_clock.h"

namespace okibi::net {
namespace {

const WallTime kNow = WallTime(std::chrono::seconds(1'790'000'000));

// A blocking client of one connection, for a thread of its own.
class Client {
 public:
  Client(const SocketAddress& server, const char* name, int most = TLS1_3_VERSION,
         SSL_SESSION* session = nullptr) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    OKIBI_CHECK(::connect(fd_, server.data(), server.size()) == 0);
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(context_, most);
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, fd_);
    if (name != nullptr) SSL_set_tlsext_host_name(ssl_, name);
    if (session != nullptr) SSL_set_session(ssl_, session);
    shaken_ = SSL_connect(ssl_) == 1;
  }
  ~Client() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    ::close(fd_);
  }
  Client(const Client&) = delete;

  bool shaken() const { return shaken_; }
  std::string commonName() const {
    X509* certificate = shaken_ ? SSL_get1_peer_certificate(ssl_) : nullptr;
    if (certificate == nullptr) return "none";
    char name[256] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                              sizeof name);
    X509_free(certificate);
    return name;
  }
  std::string version() const { return SSL_get_version(ssl_); }
  bool write(std::string_view text) {
    return SSL_write(ssl_, text.data(), static_cast<int>(text.size())) ==
           static_cast<int>(text.size());
  }
  // Until `end` is there, or the stream ends.
  std::string readUntil(std::string_view end) {
    std::string out;
    char piece[4096];
    while (!out.ends_with(end) || end.empty()) {
      const int n = SSL_read(ssl_, piece, sizeof piece);
      if (n <= 0) break;
      out.append(piece, static_cast<std::size_t>(n));
    }
    return out;
  }
  bool endedCleanly() {
    char c = 0;
    return SSL_get_error(ssl_, SSL_read(ssl_, &c, 1)) == SSL_ERROR_ZERO_RETURN;
  }
  // After the first answer, with which tickets come.
  SSL_SESSION* remember() const { return SSL_get1_session(ssl_); }
  bool resumed() const { return SSL_session_reused(ssl_) == 1; }
  void halfClose() { SSL_shutdown(ssl_); }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  bool shaken_ = false;
};

class TlsTest : public ::testing::Test {
 protected:
  explicit TlsTest(HttpServerOptions options = {})
      : acceptor(std::make_shared<TlsAcceptor>([this](std::string_view name) {
          const auto found = identities.find(std::string(name));
          return found == identities.end() ? nullptr : found->second;
        })),
        server(std::make_unique<HttpServer>(loop, std::move(options),
                                            [this](Exchange& exchange) { return app(exchange); })),
        address(server->listen(SocketAddress::loopback(0), acceptor).value()) {
    std::signal(SIGPIPE, SIG_IGN);  // the client's: OpenSSL writes to sockets that are gone
    identities["a.example"] = identity("a.example");
    identities["b.example"] = identity("b.example");
    identities[""] = identity("default.example");
  }

  static std::shared_ptr<const TlsIdentity> identity(const std::string& name, TlsRules rules = {}) {
    const auto pair = auth::testing::makePair(name, kNow);
    return TlsIdentity::make(pair.certificate, pair.key, rules).value();
  }

  // Runs the loop while `client` runs on a thread of its own.
  void with(std::function<void()> client) {
    std::thread thread([&] {
      client();
      loop.post([&] {
        loop.spawn([](TlsTest& test) -> Task<void> {
          co_await test.server->drain(test.loop.now() + 10s);
          test.loop.stop();
        }(*this));
      });
    });
    loop.run();
    thread.join();
    server.reset();
  }

  std::map<std::string, std::shared_ptr<const TlsIdentity>> identities;
  Loop loop;
  std::function<Task<void>(Exchange&)> app = [](Exchange& exchange) -> Task<void> {
    std::string text;
    for (;;) {
      auto piece = co_await exchange.read();
      if (!piece || piece->empty()) break;
      text += *piece;
    }
    const std::string said = exchange.secure() ? exchange.serverName() + ":" : "plain:";
    co_await answer(exchange, {}, said + std::to_string(text.size()));
  };
  std::shared_ptr<TlsAcceptor> acceptor;
  std::unique_ptr<HttpServer> server;
  SocketAddress address;
};

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_F(TlsTest, TheCertificateIsChosenByName) {
  with([&] {
    for (const auto& [name, expected] :
         {std::pair{"a.example", "a.example"}, std::pair{"B.Example", "b.example"},
          std::pair<const char*, const char*>{nullptr, "default.example"}}) {
      Client client(address, name);
      EXPECT_EQ(client.commonName(), expected);
      client.write(kGet);
      const std::string said = name == nullptr ? ":0" : toLower(name) + ":0";
      EXPECT_TRUE(client.readUntil(":0").ends_with("\r\n\r\n" + said));
    }
    EXPECT_FALSE(Client(address, "unknown.example").shaken());
  });
}

TEST_F(TlsTest, ANamesOwnRulesCount) {
  identities["new.example"] = identity("new.example", {.least = TlsVersion::V13, .suites = {}});
  identities["old.example"] = identity("old.example", {.most = TlsVersion::V12, .suites = {}});
  with([&] {
    EXPECT_EQ(Client(address, "a.example").version(), "TLSv1.3");
    EXPECT_EQ(Client(address, "a.example", TLS1_2_VERSION).version(), "TLSv1.2");
    EXPECT_FALSE(Client(address, "a.example", TLS1_1_VERSION).shaken());
    EXPECT_EQ(Client(address, "old.example").version(), "TLSv1.2");
    EXPECT_FALSE(Client(address, "new.example", TLS1_2_VERSION).shaken());
  });
}

TEST_F(TlsTest, KeepAliveAndBodiesLargerThanRecords) {
  with([&] {
    Client client(address, "a.example");
    const std::string body(1 << 20, 'b');
    for (int i = 0; i < 3; ++i) {
      client.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n");
      EXPECT_TRUE(client.write(body));
      EXPECT_TRUE(client.readUntil(":1048576").ends_with("a.example:1048576"));
    }
    client.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    client.readUntil("a.example:0");
    EXPECT_TRUE(client.endedCleanly());
  });
}

TEST_F(TlsTest, ARenewedCertificateDoesNotTouchLiveConnections) {
  with([&] {
    Client before(address, "a.example");
    before.write(kGet);
    before.readUntil("a.example:0");
    loop.post([&] { identities["a.example"] = identity("renewed.example"); });
    while (Client(address, "a.example").commonName() != "renewed.example") {
    }
    before.write(kGet);
    EXPECT_TRUE(before.readUntil("a.example:0").ends_with("a.example:0"));
  });
}

TEST_F(TlsTest, ASessionIsResumedWithItsOwnCertificateOnly) {
  with([&] {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      const auto answered = [&](Client& client, std::string_view name) {
        client.write(kGet);
        return client.readUntil(std::string(name) + ":0")
            .ends_with("\r\n\r\n" + std::string(name) + ":0");
      };
      Client first(address, "a.example", version);
      EXPECT_FALSE(first.resumed());
      EXPECT_TRUE(answered(first, "a.example"));
      SSL_SESSION* session = first.remember();
      Client again(address, "a.example", version, session);
      EXPECT_TRUE(again.resumed());
      EXPECT_TRUE(answered(again, "a.example"));
      Client other(address, "b.example", version, session);
      EXPECT_FALSE(other.resumed());
      EXPECT_EQ(other.commonName(), "b.example");
      EXPECT_TRUE(answered(other, "b.example"));
      std::atomic<bool> renewed = false;
      loop.post([&] {
        identities["a.example"] = identity("a.example");
        renewed = true;
      });
      while (!renewed) ::usleep(1000);
      Client later(address, "a.example", version, session);
      EXPECT_FALSE(later.resumed());
      EXPECT_TRUE(answered(later, "a.example"));
      SSL_SESSION_free(session);
    }
  });
}

// More than the sockets between the two can hold: who does not read is not written to.
TEST_F(TlsTest, BackPressure) {
  constexpr std::size_t kSize = std::size_t{24} << 20;
  std::atomic<std::size_t> written = 0;
  app = [&](Exchange& exchange) -> Task<void> {
    exchange.respond({});
    const std::string piece(64 << 10, 'p');
    while (written < kSize && co_await exchange.write(piece)) written += piece.size();
    co_await exchange.finish();
  };
  with([&] {
    Client client(address, "a.example");
    client.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for (std::size_t seen = 0; written == 0 || written != seen; ::usleep(100'000)) seen = written;
    EXPECT_LT(written, kSize);
    EXPECT_GT(client.readUntil("\r\n0\r\n\r\n").size(), kSize);
    EXPECT_TRUE(client.endedCleanly());
  });
}

TEST_F(TlsTest, ACutAnswerIsNoWholeOne) {
  app = [](Exchange& exchange) -> Task<void> {
    exchange.respond({});
    co_await exchange.write("half");
    exchange.abort();
  };
  with([&] {
    Client client(address, "a.example");
    client.write(kGet);
    client.readUntil("");
    EXPECT_FALSE(client.endedCleanly());
  });
}

TEST_F(TlsTest, ATunnelMayBeHalfClosed) {
  app = [](Exchange& exchange) -> Task<void> {
    ResponseHead head;
    head.headers.add("upgrade", "echo");
    co_await exchange.upgrade(std::move(head));
    std::string all;
    for (;;) {
      auto piece = co_await exchange.read();
      if (!piece || piece->empty()) break;
      all += *piece;
    }
    co_await exchange.finish(all + "!");
  };
  with([&] {
    Client client(address, "a.example");
    client.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    client.readUntil("\r\n\r\n");
    client.write("hello");
    client.halfClose();
    EXPECT_EQ(client.readUntil(""), "hello!");
    EXPECT_TRUE(client.endedCleanly());
  });
}

TEST_F(TlsTest, ACallerWhoLeavesIsNoticed) {
  std::atomic<int> entered = 0, left = 0;
  app = [&](Exchange& exchange) -> Task<void> {
    Event gone(loop);
    exchange.onDisconnect([&] {
      ++left;
      gone.set();
    });
    ++entered;
    (void)co_await gone.wait();
  };
  with([&] {
    {
      Client client(address, "a.example");
      client.write(kGet);
      while (entered == 0) ::usleep(1000);
    }
    while (left == 0) ::usleep(1000);
  });
}

TEST_F(TlsTest, PlainTextIsNoHandshake) {
  with([&] {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::connect(fd, address.data(), address.size()), 0);
    ASSERT_GT(::send(fd, kGet.data(), kGet.size(), MSG_NOSIGNAL), 0);
    char answer[256];
    while (::recv(fd, answer, sizeof answer, 0) > 0) {
    }
    ::close(fd);
  });
}

// Our own client's side.
class Connector : public TlsTest {
 protected:
  Connector() {
    const auto pair = auth::testing::makePair("c.example", wallNow());
    identities["c.example"] = TlsIdentity::make(pair.certificate, pair.key, {}).value();
    identities[""] = identities["c.example"];
    authority = pair.certificate;
  }
  static WallTime wallNow() {
    return std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
  }
  // What comes of a request to `name`, believing in `authorities`.
  Task<std::string> said(std::string authorities, std::string name) {
    auto connector = TlsConnector::make(authorities);
    if (!connector) co_return connector.error().message;
    auto socket = co_await Socket::open(loop, address, loop.now() + 10s);
    if (!socket) co_return socket.error().message;
    const int fd = socket->fd();
    auto secured = co_await socket->secure((*connector)->session(fd, name), loop.now() + 10s);
    if (!secured) co_return secured.error().message;
    HttpConnection connection(loop, std::move(*socket));
    RequestHead head;
    head.headers.add("host", "x");
    const SpooledBody body("four");
    auto answer = co_await call(loop, connection, head, body, Bytes::kib(1), loop.now() + 10s);
    if (!answer) co_return answer.error().message;
    co_return answer->body.text().value();
  }
  void on(std::function<Task<void>()> body) {
    testing::runOn(loop, [&]() -> Task<void> {
      co_await body();
      co_await server->drain(loop.now() + 10s);
    });
    server.reset();
  }
  std::string authority;
};

TEST_F(Connector, BelievesWhoIsNamedAndHasTheRightName) {
  on([&]() -> Task<void> {
    EXPECT_EQ(co_await said(authority, "c.example"), "c.example:4");
    const std::string self = co_await said("", "c.example");
    EXPECT_NE(self.find("certificate is not accepted: self-signed"), std::string::npos) << self;
    identities["d.example"] = identities["c.example"];
    const std::string other = co_await said(authority, "d.example");
    EXPECT_NE(other.find("not accepted: hostname mismatch"), std::string::npos) << other;
    const std::string number = co_await said(authority, "127.0.0.1");
    EXPECT_NE(number.find("not accepted: IP address mismatch"), std::string::npos) << number;
    EXPECT_NE((co_await said("none", "c.example")).find("certificate"), std::string::npos);
  });
}

class SlowShakers : public TlsTest {
 protected:
  static HttpServerOptions few() {
    HttpServerOptions options;
    options.handshakeTimeout = 10min;
    options.handshakes = 4;
    options.connections = 2;
    return options;
  }
  SlowShakers() : TlsTest(few()) {}
};

// Those who begin and do not go on take no place of those who do.
TEST_F(SlowShakers, CannotExhaustTheConnections) {
  with([&] {
    std::vector<int> silent;
    for (int i = 0; i < 40; ++i) {
      silent.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      ASSERT_EQ(::connect(silent.back(), address.data(), address.size()), 0);
    }
    Client client(address, "a.example");
    client.write(kGet);
    EXPECT_TRUE(client.readUntil("a.example:0").ends_with("a.example:0"));
    for (const int fd : silent) ::close(fd);
  });
}

// On the virtual clock: ten seconds for the whole handshake, however it is dragged out.
TEST(TlsTimes, AHandshakeHasTenSeconds) {
  VirtualClock clock;
  Loop loop(1, &clock);
  auto acceptor = std::make_shared<TlsAcceptor>([](std::string_view) { return nullptr; });
  HttpServer server(loop, {}, [](Exchange&) -> Task<void> { co_return; });
  const SocketAddress address = server.listen(SocketAddress::loopback(0), acceptor).value();
  testing::runOn(loop, [&]() -> Task<void> {
    auto peer = co_await testing::RawPeer::connect(loop, address);
    const Instant begun = loop.now();
    co_await peer.send("\x16\x03\x01");  // the first bytes of a record
    EXPECT_EQ(co_await peer.readToEnd(), "");
    EXPECT_EQ(loop.now() - begun, 10s);
    co_await server.drain(loop.now() + 1s);
  });
}

TEST(TlsIdentity, NeedsAPairThatFits) {
  const auto a = auth::testing::makePair("a.example", kNow);
  const auto b = auth::testing::makePair("b.example", kNow);
  EXPECT_TRUE(TlsIdentity::make(a.certificate + b.certificate, a.key, {}));
  EXPECT_FALSE(TlsIdentity::make(a.certificate, b.key, {}));
  EXPECT_FALSE(TlsIdentity::make("", a.key, {}));
  EXPECT_FALSE(TlsIdentity::make(a.certificate, "", {}));
}

TEST(ServerName, IsReadOnlyWhereItIsWellFormed) {
  const auto read = [](std::string_view bytes) {
    return readServerName({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()})
        .value_or("none");
  };
  using namespace std::string_view_literals;
  EXPECT_EQ(read("\0\6\0\0\3A.b"sv), "a.b");
  for (const std::string_view bad :
       {""sv, "\0"sv, "\0\3\0\0\0"sv, "\0\6\0\0\2A.b"sv, "\0\5\0\0\3A.b"sv, "\0\6\1\0\3A.b"sv,
        "\0\6\0\0\3A b"sv, "\0\6\0\0\3A\0b"sv, "\0\6\0\0\4A.b"sv, "\0\6\0\0\3A.bx"sv}) {
    EXPECT_EQ(read(bad), "none");
  }
}

TEST(CipherSuites, ByTheirIanaNames) {
  const auto chosen = chooseSuites({"TLS_AES_128_GCM_SHA256", "TLS_RSA_WITH_RC4_128_SHA",
                                    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                                    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305"});
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->from13, "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(chosen->upTo12, "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305");
  EXPECT_TRUE(chooseSuites({}));
  EXPECT_FALSE(chooseSuites({"TLS_RSA_WITH_RC4_128_SHA"}));
  EXPECT_TRUE(chooseSuites({"a", "b"}).error().message.starts_with("[0]: 'a'"));
}

}  // namespace
}  // namespace okibi::net
