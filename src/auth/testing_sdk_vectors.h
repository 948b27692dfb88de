#pragma once
// Requests signed by the unmodified npm packages @alicloud/fc20230330 (kind Api, received by a
// local server) and @alicloud/openapi-util (kind Trigger), with made-up keys. Test data.

#include <string>
#include <vector>

#include "auth/request.h"

namespace okibi::auth {

enum class VectorKind { Api, Trigger };

struct SdkVector {
  VectorKind kind;
  const char* label;
  RequestHead request;
  const char* bodyBase64;
};

inline constexpr const char* kVectorKeyId = "OKBItestkey000000000001";
inline constexpr const char* kVectorSecret = "fakesecretfakesecretfakesecretfakesecret";

inline const std::vector<SdkVector> kSdkVectors{
    {VectorKind::Api,
     "create",
     {"POST",
      "/2023-03-30/functions",
      "",
      {{"host", "127.0.0.1:38633"},
       {"x-acs-version", "2023-03-30"},
       {"x-acs-action", "CreateFunction"},
       {"x-acs-date", "2026-11-24T23:57:59Z"},
       {"x-acs-signature-nonce",
        "fb069a9ad69ffe69b4c759f2b59387b9ef33c2b15fea745b45ca014848076af4"},
       {"content-type", "application/json; charset=utf-8"},
       {"x-acs-content-sha256", "08b0ff7d99b525147d9df0626ef0dcaadf1e0761c869e4f710904bf93ee773bc"},
       {"x-acs-credentials-provider", "static_ak"},
       {"Authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=content-type;host;x-acs-action;x-acs-"
        "content-sha256;x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-"
        "version,Signature=0e48b2b0537f9c978a0a6621ff4d921f4da2f899c75aa5a064bba556f030d895"}}},
     "eyJjdXN0b21Db250YWluZXJDb25maWciOnsiaW1hZ2UiOiJpOjEiLCJwb3J0Ijo5MDAwfSwiZnVuY3Rpb25OYW1lIjo"
     "iZiIsImdwdUNvbmZpZyI6eyJncHVNZW1vcnlTaXplIjo0MDk2LCJncHVUeXBlIjoiZmMuZ3B1LnRlc2xhLjEifSwiaG"
     "FuZGxlciI6ImgiLCJydW50aW1lIjoiY3VzdG9tLWNvbnRhaW5lciJ9"},
    {VectorKind::Api,
     "get with qualifier",
     {"GET",
      "/2023-03-30/functions/f",
      "qualifier=LATEST",
      {{"host", "127.0.0.1:38633"},
       {"x-acs-version", "2023-03-30"},
       {"x-acs-action", "GetFunction"},
       {"x-acs-date", "2026-11-24T23:57:59Z"},
       {"x-acs-signature-nonce",
        "a78cbbd26a102bdbddeadd5732919e5791b3b2db39ee6391de6ed9588ffabc81"},
       {"x-acs-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
       {"x-acs-credentials-provider", "static_ak"},
       {"Authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=host;x-acs-action;x-acs-content-sha256;"
        "x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature="
        "714fa80e58d450d09f8d1db0c1a18086a1f13e8e1248553a5884077df73a183c"}}},
     ""},
    {VectorKind::Api,
     "list with odd prefix",
     {"GET",
      "/2023-03-30/functions",
      "limit=10&prefix=a*b%20c~d%2Be%2Ff%25g%26h%3Di%27(!)%C3%A9",
      {{"host", "127.0.0.1:38633"},
       {"x-acs-version", "2023-03-30"},
       {"x-acs-action", "ListFunctions"},
       {"x-acs-date", "2026-11-24T23:57:59Z"},
       {"x-acs-signature-nonce",
        "dea8ed4f047e36613c8f939d8124e993c8a39465a71c3c6be722ff1c6c450dbd"},
       {"x-acs-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
       {"x-acs-credentials-provider", "static_ak"},
       {"Authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=host;x-acs-action;x-acs-content-sha256;"
        "x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature="
        "3de930747b93a969e11aabcbdaccbfd5f4d3649444e7e62069405728148a16dc"}}},
     ""},
    {VectorKind::Api,
     "delete",
     {"DELETE",
      "/2023-03-30/functions/f",
      "",
      {{"host", "127.0.0.1:38633"},
       {"x-acs-version", "2023-03-30"},
       {"x-acs-action", "DeleteFunction"},
       {"x-acs-date", "2026-11-24T23:57:59Z"},
       {"x-acs-signature-nonce",
        "52cb83ea3ff6e9e0891ef71901699a48c8280719725f45024437b810885c657e"},
       {"x-acs-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
       {"x-acs-credentials-provider", "static_ak"},
       {"Authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=host;x-acs-action;x-acs-content-sha256;"
        "x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature="
        "7a01238e7b9e8412159efd585caf1e265b3237f74b273045b37e31752b9d11c0"}}},
     ""},
    {VectorKind::Api,
     "invoke",
     {"POST",
      "/2023-03-30/functions/f/invocations",
      "qualifier=LATEST",
      {{"host", "127.0.0.1:38633"},
       {"x-acs-version", "2023-03-30"},
       {"x-acs-action", "InvokeFunction"},
       {"x-acs-date", "2026-11-24T23:57:59Z"},
       {"x-acs-signature-nonce",
        "dcf6d4daa27d4cd74c409acbd71b72be951adf556909dd9432d7ee71e8f9e964"},
       {"x-fc-invocation-type", "Sync"},
       {"x-fc-log-type", "Tail"},
       {"content-type", "application/octet-stream"},
       {"x-acs-content-sha256", "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"},
       {"x-acs-credentials-provider", "static_ak"},
       {"Authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=content-type;host;x-acs-action;x-acs-"
        "content-sha256;x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-"
        "version,Signature=4badd336ca0bc07bfb1996d850455f839e8cd205851bcc5811bce89f81641ff3"}}},
     "eyJhIjoxfQ=="},
    {VectorKind::Api,
     "invoke empty",
     {"POST",
      "/2023-03-30/functions/f/invocations",
      "",
      {{"host", "127.0.0.1:38633"},
       {"x-acs-version", "2023-03-30"},
       {"x-acs-action", "InvokeFunction"},
       {"x-acs-date", "2026-11-24T23:57:59Z"},
       {"x-acs-signature-nonce",
        "e619600cce786673233fb7b9f7e22cc69fd9ff71eaa209177df6d465c0318603"},
       {"x-acs-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
       {"x-acs-credentials-provider", "static_ak"},
       {"Authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=host;x-acs-action;x-acs-content-sha256;"
        "x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature="
        "1958800a3ac1c8c7595011607571b98aab346605dbb61097078cc0485664e90d"}}},
     ""},
    {VectorKind::Api,
     "name with odd characters",
     {"GET",
      "/2023-03-30/functions/a%20b%2Bc%2Ad~e%24f",
      "",
      {{"host", "127.0.0.1:38633"},
       {"x-acs-version", "2023-03-30"},
       {"x-acs-action", "GetFunction"},
       {"x-acs-date", "2026-11-24T23:57:59Z"},
       {"x-acs-signature-nonce",
        "8490bff0ffc9011f7fcd573f5024a976dfc992543daa162c1e66c8f1329c29e3"},
       {"x-acs-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
       {"x-acs-credentials-provider", "static_ak"},
       {"Authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=host;x-acs-action;x-acs-content-sha256;"
        "x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-version,Signature="
        "87c1291520f0dca8cd48ec44c3beafab6f4f606ee7a7e7041aede136c8282d29"}}},
     ""},
    {VectorKind::Api,
     "sts",
     {"GET",
      "/2023-03-30/functions/f",
      "",
      {{"host", "127.0.0.1:38633"},
       {"x-acs-version", "2023-03-30"},
       {"x-acs-action", "GetFunction"},
       {"x-acs-date", "2026-11-24T23:57:59Z"},
       {"x-acs-signature-nonce",
        "7ef2db03d23117c8d6b6ac366d918e3202f512c8de702f06ed2ef19ad6751216"},
       {"x-acs-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
       {"x-acs-credentials-provider", "static_sts"},
       {"x-acs-accesskey-id", "OKBItestkey000000000001"},
       {"x-acs-security-token", "tok/en+1=="},
       {"Authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=host;x-acs-accesskey-id;x-acs-action;x-"
        "acs-content-sha256;x-acs-credentials-provider;x-acs-date;x-acs-security-token;x-acs-"
        "signature-nonce;x-acs-version,Signature="
        "a3f435e3632ac24f653e87b24727f016c13f393dbdd361090e2ac6f79779b5c0"}}},
     ""},
    {VectorKind::Api,
     "update",
     {"PUT",
      "/2023-03-30/functions/f",
      "",
      {{"host", "127.0.0.1:38633"},
       {"x-acs-version", "2023-03-30"},
       {"x-acs-action", "UpdateFunction"},
       {"x-acs-date", "2026-11-24T23:57:59Z"},
       {"x-acs-signature-nonce",
        "f46054106bdce98b721c3936790e93b393dc12f96a03de21e3c3f1d08a55b7fc"},
       {"content-type", "application/json; charset=utf-8"},
       {"x-acs-content-sha256", "4ac17dc146ad62f76c2db3637e0229ab5e4eedaca5962ddbffaa3a5eeb519c35"},
       {"x-acs-credentials-provider", "static_ak"},
       {"Authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=content-type;host;x-acs-action;x-acs-"
        "content-sha256;x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-"
        "version,Signature=a7fb14dfaba63e3a5aea223b443508ddf2cce37ab14afcefae5b878f9fc30bed"}}},
     "eyJkZXNjcmlwdGlvbiI6IsOp5LitIiwidGltZW91dCI6NjB9"},
    {VectorKind::Trigger,
     "plain",
     {"GET",
      "/",
      "",
      {{"x-acs-date", "2026-11-24T08:34:58.123Z"},
       {"authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=x-acs-date,Signature="
        "61b740f557017d9ceb90c366fcba33985ef62efab1c7894aa0321b3aa4d55496"}}},
     ""},
    {VectorKind::Trigger,
     "seconds",
     {"POST",
      "/a/b",
      "x=1%202&a=%C3%A9*",
      {{"X-Acs-Date", "2026-11-24T08:34:58Z"},
       {"authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=x-acs-date,Signature="
        "2952b6fcf3588b95ef871ddb683b9b24f7c9f4b550093200aa6502bad6f305be"}}},
     ""},
    {VectorKind::Trigger,
     "empty token not sent",
     {"GET",
      "/a",
      "",
      {{"x-acs-date", "2026-11-24T08:34:58.123Z"},
       {"authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=x-acs-date;x-acs-security-token,"
        "Signature=aad3ec3b698595cbdc44d17f37ca0c7f1cbe00b848f1c124f0319119c7ec9d7b"}}},
     ""},
    {VectorKind::Trigger,
     "empty token sent",
     {"GET",
      "/a",
      "",
      {{"x-acs-date", "2026-11-24T08:34:58.123Z"},
       {"x-acs-security-token", ""},
       {"authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=x-acs-date;x-acs-security-token,"
        "Signature=aad3ec3b698595cbdc44d17f37ca0c7f1cbe00b848f1c124f0319119c7ec9d7b"}}},
     ""},
    {VectorKind::Trigger,
     "two pluses",
     {"GET",
      "/a+b+c*d*e%7Ef%7Eg",
      "",
      {{"x-acs-date", "2026-11-24T08:34:58.123Z"},
       {"authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=x-acs-date,Signature="
        "38e57f9315279afc7b80961cb2628c97a03c3419685a97d4229800bff4b34240"}}},
     ""},
    {VectorKind::Trigger,
     "host and type",
     {"POST",
      "/x",
      "",
      {{"x-acs-date", "2026-11-24T08:34:58.123Z"},
       {"Host", "l.r.okibi.localhost:7070"},
       {"Content-Type", "text/plain"},
       {"authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=content-type;host;x-acs-date,Signature="
        "e6ab0eaf30f58bd036025aa8ed3550dfcb60a56695d2d4684d4306dfafd02709"}}},
     ""},
    {VectorKind::Trigger,
     "valueless key",
     {"GET",
      "/x",
      "flag",
      {{"x-acs-date", "2026-11-24T08:34:58.123Z"},
       {"authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=x-acs-date,Signature="
        "06282cea46dbf6ce472d4482e5bbb89b5b9a9e3d0fd988a22569607fa76ac48e"}}},
     ""},
    {VectorKind::Trigger,
     "odd key not encoded",
     {"GET",
      "/x",
      "a[0]=v",
      {{"x-acs-date", "2026-11-24T08:34:58.123Z"},
       {"authorization",
        "ACS3-HMAC-SHA256 "
        "Credential=OKBItestkey000000000001,SignedHeaders=x-acs-date,Signature="
        "dba1714c3f1521aa5cbc5fe66d8d025c49a54ff776519aa7dbc1a6aead34c150"}}},
     ""},
};

}  // namespace okibi::auth
