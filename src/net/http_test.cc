#include "net/http.h"

#include <gtest/gtest.h>

#include "net/http1.h"

namespace okibi::net {
namespace {

constexpr HeadLimits kLimits{.fields = Bytes::kib(8), .target = Bytes::kib(4)};

std::optional<HttpFault> read(std::string_view raw, RequestHead& head) {
  HeadScanner scanner;
  HeadScanner::Outcome seen = scanner.scan(raw, kLimits);
  if (seen.fault) return seen.fault;
  EXPECT_EQ(seen.length, raw.size()) << raw;
  if (auto fault = parseRequestHead(raw, head)) return fault;
  return checkRequestHead(head, kLimits);
}

struct HostileHead {
  const char* why;
  std::string raw;
  HttpFault fault;
};

// What must never pass, whatever the parser beneath thinks of it.
std::vector<HostileHead> hostileHeads() {
  using enum HttpFault;
  auto with = [](std::string lines) { return "GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n"; };
  auto post = [](std::string lines) { return "POST / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n"; };
  return {
      {"length with chunked", post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
       LengthWithChunked},
      {"chunked with length", post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"),
       LengthWithChunked},
      {"length with unknown coding", post("Content-Length: 3\r\nTransfer-Encoding: x\r\n"),
       LengthWithChunked},
      {"two lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n"), BadContentLength},
      {"the same length twice", post("Content-Length: 3\r\nContent-Length: 3\r\n"),
       BadContentLength},
      {"list of lengths", post("Content-Length: 3, 3\r\n"), BadContentLength},
      {"signed length", post("Content-Length: +1\r\n"), BadContentLength},
      {"negative length", post("Content-Length: -1\r\n"), BadContentLength},
      {"hex length", post("Content-Length: 0x10\r\n"), BadContentLength},
      {"empty length", post("Content-Length: \r\n"), BadContentLength},
      {"huge length", post("Content-Length: 99999999999999999999\r\n"), BadContentLength},
      {"xchunked", post("Transfer-Encoding: xchunked\r\n"), BadTransferEncoding},
      {"chunked, identity", post("Transfer-Encoding: chunked, identity\r\n"), BadTransferEncoding},
      {"gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n"), BadTransferEncoding},
      {"chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
       BadTransferEncoding},
      {"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
       BadTransferEncoding},
      {"NUL in value", with(std::string("X: a\0b\r\n", 8)), Malformed},
      {"bare CR in value", with("X: a\rb\r\n"), Malformed},
      {"bare LF line", "GET / HTTP/1.1\nHost: a\n\n", Malformed},
      {"one bare LF", "GET / HTTP/1.1\r\nHost: a\n\r\n", Malformed},
      {"blank before colon", with("X : a\r\n"), Malformed},
      {"no name", with(": a\r\n"), Malformed},
      {"no colon", with("nonsense\r\n"), Malformed},
      {"blank in name", with("X Y: a\r\n"), Malformed},
      {"folded line", with("X: a\r\n b\r\n"), ObsoleteFolding},
      {"fold with tab", with("X: a\r\n\tTransfer-Encoding: chunked\r\n"), ObsoleteFolding},
      {"fold after request line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", ObsoleteFolding},
      {"no host", "GET / HTTP/1.1\r\n\r\n", MissingHost},
      {"two hosts", with("Host: b\r\n"), SeveralHosts},
      {"the same host twice", with("host: a\r\n"), SeveralHosts},
      {"blank in host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", BadHost},
      {"path in host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", BadHost},
      {"user in host", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", BadHost},
      {"lower-case method", "get / HTTP/1.1\r\nHost: a\r\n\r\n", BadMethod},
      {"digit in method", "G3T / HTTP/1.1\r\nHost: a\r\n\r\n", BadMethod},
      {"long method", std::string(33, 'A') + " / HTTP/1.1\r\nHost: a\r\n\r\n", BadMethod},
      {"absolute form", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", BadTarget},
      {"authority form", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", BadTarget},
      {"star with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", BadTarget},
      {"fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", BadTarget},
      {"long target", "GET /" + std::string(5000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n",
       TargetTooLong},
      {"HTTP/2", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", UnsupportedVersion},
      {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", UnsupportedVersion},
      {"HTTP/0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", UnsupportedVersion},
      {"9000 bytes of one header", with("X: " + std::string(9000, 'a') + "\r\n"), HeadersTooLarge},
      {"other expectation", post("Content-Length: 1\r\nExpect: coffee\r\n"),
       UnsupportedExpectation},
      {"upgrade with body",
       post("Content-Length: 1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"), BadUpgrade},
  };
}

TEST(RequestHead, HostileHeadsAreRefusedEachForItsReason) {
  for (const HostileHead& row : hostileHeads()) {
    RequestHead head;
    std::optional<HttpFault> fault = read(row.raw, head);
    ASSERT_TRUE(fault.has_value()) << row.why;
    EXPECT_EQ(*fault, row.fault) << row.why << ": " << toString(*fault);
  }
}

TEST(RequestHead, DoubleBlankInTheRequestLineIsRefused) {
  RequestHead head;
  EXPECT_TRUE(read("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", head).has_value());
  EXPECT_TRUE(read("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", head).has_value());
}

TEST(RequestHead, TellsWhatItSays) {
  RequestHead head;
  ASSERT_FALSE(
      read("POST /a/b?c=d HTTP/1.1\r\nhOsT: a.b:7070\r\nX-One:  1 \r\nx-one: 2\r\n"
           "Content-Length: 12\r\nExpect: 100-Continue\r\n\r\n",
           head));
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path(), "/a/b");
  EXPECT_EQ(head.query(), "c=d");
  EXPECT_EQ(head.headers.get("host"), "a.b:7070");
  EXPECT_EQ(head.headers.get("X-ONE"), "1");
  EXPECT_EQ(head.headers.count("X-One"), 2u);
  EXPECT_EQ(head.contentLength, 12u);
  EXPECT_TRUE(head.keepAlive && head.expectsContinue && !head.chunked);
}

TEST(RequestHead, KeepAliveFollowsVersionAndConnection) {
  RequestHead head;
  ASSERT_FALSE(read("GET / HTTP/1.0\r\n\r\n", head));
  EXPECT_FALSE(head.keepAlive);
  ASSERT_FALSE(read("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", head));
  EXPECT_TRUE(head.keepAlive);
  ASSERT_FALSE(read("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", head));
  EXPECT_FALSE(head.keepAlive);
}

TEST(RequestHead, UpgradesAreSeenAndH2cOffersIgnored) {
  RequestHead head;
  ASSERT_FALSE(
      read("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
           "Upgrade: websocket\r\n\r\n",
           head));
  EXPECT_EQ(head.upgrade, "websocket");
  ASSERT_FALSE(
      read("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
           "Content-Length: 3\r\n\r\n",
           head));
  EXPECT_EQ(head.upgrade, "");
}

TEST(HeadScanner, FindsTheEndWhateverThePieces) {
  std::string raw = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next";
  std::size_t length = raw.find("\r\n\r\n") + 4;
  HeadScanner scanner;
  for (std::size_t n = 0; n < length; ++n) {
    HeadScanner::Outcome seen = scanner.scan(std::string_view(raw).substr(0, n), kLimits);
    EXPECT_EQ(seen.length, 0u);
    EXPECT_FALSE(seen.fault.has_value());
  }
  EXPECT_EQ(scanner.scan(raw, kLimits).length, length);
}

TEST(HeadScanner, AHeadWithoutEndIsBounded) {
  HeadScanner lines, line;
  std::string many = "GET / HTTP/1.1\r\n";
  while (many.size() <= 20480) many += "a: b\r\n";
  EXPECT_EQ(lines.scan(many, kLimits).fault, HttpFault::HeadersTooLarge);
  EXPECT_EQ(line.scan("GET /" + std::string(20480, 'a'), kLimits).fault, HttpFault::TargetTooLong);
}

TEST(Headers, KeepOrderAndForgetCase) {
  Headers headers{{"A", "1"}, {"b", "2"}, {"a", "3"}};
  headers.set("B", "9");
  headers.remove("A");
  ASSERT_EQ(headers.size(), 1u);
  EXPECT_EQ(headers[0].name, "B");
  EXPECT_EQ(headers[0].value, "9");
  headers.set("B", *headers.get("b"));  // a view into itself
  EXPECT_EQ(headers.get("B"), "9");
  EXPECT_EQ(headers.byteCount(), Bytes(2));
  EXPECT_FALSE(headers.has("A"));
}

TEST(Headers, TokensOfListsAreWholeWords) {
  Headers headers{{"Connection", "x-close , Upgrade"}, {"connection", "Keep-Alive"}};
  EXPECT_TRUE(headers.hasToken("connection", "upgrade"));
  EXPECT_TRUE(headers.hasToken("connection", "keep-alive"));
  EXPECT_FALSE(headers.hasToken("connection", "close"));
}

TEST(HeadersDeathTest, AnUncleanValueCannotBecomeAHeader) {
  Headers headers;
  EXPECT_DEATH(headers.add("x", "a\r\nSet-Cookie: b"), "unclean");
  EXPECT_DEATH(headers.add("x y", "a"), "unclean");
}

TEST(Headers, HopByHopFieldsGoWithWhatConnectionNames) {
  Headers headers{{"Host", "a"},    {"Connection", "x-mine, host, content-length"},
                  {"X-Mine", "1"},  {"Keep-Alive", "5"},
                  {"TE", "x"},      {"Transfer-Encoding", "chunked"},
                  {"Upgrade", "x"}, {"Content-Length", "1"},
                  {"X-Other", "2"}};
  removeHopByHop(headers);
  std::string left;
  for (Headers::Field f : headers) left += std::string(f.name) + " ";
  EXPECT_EQ(left, "Host Content-Length X-Other ");
}

// ---- answers

ResponseBody bodyOf(std::string_view method, std::string_view raw) {
  ParsedResponse parsed;
  EXPECT_FALSE(parseResponseHead(raw, method, parsed).has_value()) << raw;
  return parsed.body;
}

TEST(ResponseHead, FramingFollowsMethodStatusAndFields) {
  using enum ResponseBody;
  EXPECT_EQ(bodyOf("GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), Sized);
  EXPECT_EQ(bodyOf("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), None);
  EXPECT_EQ(bodyOf("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), None);
  EXPECT_EQ(bodyOf("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), Chunked);
  EXPECT_EQ(bodyOf("GET", "HTTP/1.1 200 \r\n\r\n"), UntilClose);
  EXPECT_EQ(bodyOf("GET", "HTTP/1.1 204 No Content\r\n\r\n"), None);
  EXPECT_EQ(bodyOf("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"), None);
  EXPECT_EQ(bodyOf("GET", "HTTP/1.1 101 Switching\r\n\r\n"), None);
}

TEST(ResponseHead, ContradictingFramingIsRefused) {
  for (const char* raw :
       {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n", "SMTP ready\r\n\r\n", "HTTP/3.1 200 OK\r\n\r\n"}) {
    ParsedResponse parsed;
    EXPECT_TRUE(parseResponseHead(raw, "GET", parsed).has_value()) << raw;
  }
}

// ---- chunks

std::string decodeInPieces(std::string text, std::size_t step, bool& ended, bool& bad) {
  ChunkDecoder decoder;
  decoder.reset();
  std::string body, pending;
  ended = bad = false;
  for (std::size_t at = 0; at < text.size() && !ended && !bad;) {
    pending += text.substr(at, step);
    at += step;
    ChunkDecoder::Outcome out = decoder.decode(pending);
    body += out.piece;
    ended = out.ended;
    bad = out.fault.has_value();
    pending.erase(0, out.consumed);
  }
  return body;
}

TEST(ChunkDecoder, GivesTheBodyWhateverThePieces) {
  std::string text = "5\r\nhello\r\n1;ext=\"v\"\r\n,\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    bool ended = false, bad = false;
    EXPECT_EQ(decodeInPieces(text, step, ended, bad), "hello,0123456789") << step;
    EXPECT_TRUE(ended && !bad) << step;
  }
}

TEST(ChunkDecoder, AnEmptyBodyMayComeByteByByte) {
  for (std::string text : {"0\r\n\r\n", "00000;x=y\r\nT: x\r\n\r\n"}) {
    for (std::size_t step = 1; step <= text.size(); ++step) {
      bool ended = false, bad = false;
      EXPECT_EQ(decodeInPieces(text, step, ended, bad), "");
      EXPECT_TRUE(ended && !bad) << text << " in steps of " << step;
    }
  }
}

TEST(ChunkDecoder, RefusesBrokenChunks) {
  for (const char* text :
       {"x\r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n", "-1\r\n\r\n", "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n", "11111111111111111\r\nhello", " 5\r\nhello\r\n0\r\n\r\n",
        "5 ;a\nb\r\nhello\r\n0\r\n\r\n", "0\r\nbad trailer\r\n\r\n"}) {
    bool ended = false, bad = false;
    decodeInPieces(text, 1000, ended, bad);
    EXPECT_TRUE(bad && !ended) << text;
  }
}

TEST(Writing, FramingIsOurs) {
  ResponseHead head;
  head.headers = {
      {"Content-Length", "9"}, {"Transfer-Encoding", "x"}, {"Connection", "x"}, {"Server", "me"}};
  head.contentLength = 3;
  std::string out;
  writeResponseHead(head, Coding::Sized, Persistence::Close, out);
  EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nServer: me\r\ncontent-length: 3\r\nconnection: close\r\n\r\n");

  RequestHead request;
  request.headers = {{"Host", "a"}, {"content-length", "77"}, {"Upgrade", "no"}};
  request.chunked = true;
  out.clear();
  writeRequestHead(request, out);
  EXPECT_EQ(out, "GET / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n");
}

}  // namespace
}  // namespace okibi::net
