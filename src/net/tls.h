#pragma once
// TLS 1.2 and 1.3 over a socket (OpenSSL). A TlsIdentity is a certificate with its key and rules; a
// TlsAcceptor picks one for each handshake by the name the client asks for (SNI), so that a new
// certificate counts from the next handshake on and live connections keep theirs. Sessions are
// resumed by tickets for an hour, with the identity they began with: a ticket of one certificate is
// none for another name's, nor for its successor. Their keys live as long as the acceptor.
//
// A TlsConnector is the client's side.
//
// Loop thread only. OpenSSL's headers stay in tls.cc; the awaiting is Socket's (net/socket.h).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/cipher_suites.h"

struct ssl_ctx_st;

namespace okibi::net {

enum class TlsVersion { V12, V13 };

struct TlsRules {
  TlsVersion least = TlsVersion::V12, most = TlsVersion::V13;
  CipherSuites suites;
};

class TlsIdentity {
 public:
  // Invalid: the texts are no certificate chain with its key (auth/certificate.h says it better).
  static Result<std::shared_ptr<const TlsIdentity>> make(std::string_view chainPem,
                                                         std::string_view keyPem,
                                                         const TlsRules& rules);
  ~TlsIdentity();
  TlsIdentity(const TlsIdentity&) = delete;

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  explicit TlsIdentity(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class TlsSession;

class TlsAcceptor {
 public:
  // nullptr: the handshake ends with the alert unrecognized_name. `serverName` is empty when the
  // client asked for none.
  using Choose = std::function<std::shared_ptr<const TlsIdentity>(std::string_view serverName)>;

  explicit TlsAcceptor(Choose choose);
  ~TlsAcceptor();
  TlsAcceptor(const TlsAcceptor&) = delete;

  // For a connected, non-blocking socket, which the session does not own. The acceptor outlives the
  // handshake.
  std::unique_ptr<TlsSession> session(int fd) const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

// Connections that are used only when the server's certificate is signed by somebody who is
// believed, and is for the name that was meant.
class TlsConnector {
 public:
  // `authorities`: PEM of those who are believed; empty: whom the system believes. Invalid: there
  // is no certificate in it.
  static Result<std::unique_ptr<TlsConnector>> make(std::string_view authorities);
  ~TlsConnector();
  TlsConnector(const TlsConnector&) = delete;

  // For a connected, non-blocking socket, which the session does not own. `name`: the server's host
  // name or IP address, without brackets. The connector outlives the handshake.
  std::unique_ptr<TlsSession> session(int fd, const std::string& name) const;

 private:
  struct Impl;
  explicit TlsConnector(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// One connection's TLS. Every call does what it can without waiting.
class TlsSession {
 public:
  enum class Step { Done, WantsRead, WantsWrite, Ended, Failed };

  ~TlsSession();
  TlsSession(const TlsSession&) = delete;

  Step handshake();
  // `count`: bytes read. Ended: the peer said close_notify.
  Step read(std::span<char> into, std::size_t& count);
  // `count`: bytes taken, at least one when Done. After a want the same bytes come again.
  Step write(std::string_view bytes, std::size_t& count);
  // Says close_notify, as far as the socket takes it now. Once.
  void sayEnd();

  // What Failed was about.
  const std::string& failure() const { return failure_; }
  // The name that the client asked for, in lower case; empty: none.
  const std::string& serverName() const { return serverName_; }

  struct Impl;
  void named(std::string serverName) { serverName_ = std::move(serverName); }  // the handshake's

 private:
  friend class TlsAcceptor;
  friend class TlsConnector;
  TlsSession();
  static std::unique_ptr<TlsSession> over(ssl_ctx_st* context, int fd);
  Step after(int result);

  std::unique_ptr<Impl> impl_;
  std::string failure_, serverName_;
};

// The host name in the body of a server_name extension (RFC 6066, section 3), lower case; nullopt:
// it is malformed. Pure.
std::optional<std::string> readServerName(std::span<const std::uint8_t> extension);

}  // namespace okibi::net
