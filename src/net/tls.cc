#include "net/tls.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <string>
#include <utility>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/encoding.h"
#include "base/owned.h"

namespace okibi::net {
namespace {

constexpr std::size_t kHostNameMost = 255;
constexpr std::string_view kAlpnHttp11 = "\x08http/1.1";
constexpr std::chrono::seconds kResumable{3600};

using Context = Owned<SSL_CTX, SSL_CTX_free>;
using Bio = Owned<BIO, BIO_free_all>;
using Certificate = Owned<X509, X509_free>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;

std::string lastError() {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  return reason == nullptr ? "the connection broke" : reason;
}

int noPassphrase(char*, int, int, void*) {
  return 0;
}

int protocolOf(TlsVersion version) {
  return version == TlsVersion::V13 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

// HTTP/1.1 where the client offers a list that has it; without agreement the connection goes on, as
// without the extension.
int chooseProtocol(SSL*, const unsigned char** out, unsigned char* outLength,
                   const unsigned char* offered, unsigned int offeredLength, void*) {
  const auto* mine = reinterpret_cast<const unsigned char*>(kAlpnHttp11.data());
  unsigned char* found = nullptr;
  const int agreed = SSL_select_next_proto(
      &found, outLength, mine, static_cast<unsigned>(kAlpnHttp11.size()), offered, offeredLength);
  *out = found;
  return agreed == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

Context newContext(const SSL_METHOD* method) {
  Context context(SSL_CTX_new(method));
  OKIBI_CHECK(context != nullptr, "OpenSSL has TLS");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  return context;
}

Context newServerContext() {
  Context context = newContext(TLS_server_method());
  SSL_CTX_set_timeout(context.get(), kResumable.count());
  SSL_CTX_set_alpn_select_cb(context.get(), chooseProtocol, nullptr);
  return context;
}

// ---- bytes to and from the socket, without SIGPIPE

int socketOf(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

int moved(BIO* bio, ssize_t count, int retry) {
  BIO_clear_retry_flags(bio);
  if (count < 0 && (errno == EAGAIN || errno == EINTR))
    BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
  return static_cast<int>(count);
}
int bioRead(BIO* bio, char* into, int size) {
  return moved(bio, ::recv(socketOf(bio), into, static_cast<std::size_t>(size), 0), BIO_FLAGS_READ);
}
int bioWrite(BIO* bio, const char* bytes, int size) {
  return moved(bio, ::send(socketOf(bio), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL),
               BIO_FLAGS_WRITE);
}
long bioControl(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* socketMethod() {
  static BIO_METHOD* const kMethod = [] {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    BIO_meth_set_read(method, bioRead);
    BIO_meth_set_write(method, bioWrite);
    BIO_meth_set_ctrl(method, bioControl);
    return method;
  }();
  return kMethod;
}

std::unexpected<Error> bad(std::string_view what) {
  return fail(ErrorKind::Invalid, std::string(what) + ": " + lastError(), "InvalidArgument");
}

Bio readerOf(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Result<void> useChain(SSL_CTX* context, std::string_view pem) {
  const Bio in = readerOf(pem);
  for (bool own = true;; own = false) {
    Certificate one(PEM_read_bio_X509(in.get(), nullptr, noPassphrase, nullptr));
    if (!one && own) return bad("certificate");
    if (!one) break;
    const bool used = own ? SSL_CTX_use_certificate(context, one.get()) == 1
                          : SSL_CTX_add1_chain_cert(context, one.get()) == 1;
    if (!used) return bad("certificate");
  }
  ERR_clear_error();
  return {};
}

Result<void> believe(SSL_CTX* context, std::string_view pem) {
  const Bio in = readerOf(pem);
  int count = 0;
  for (;; ++count) {
    const Certificate one(PEM_read_bio_X509(in.get(), nullptr, noPassphrase, nullptr));
    if (!one) break;
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one.get()) != 1) {
      return bad("certificate");
    }
  }
  if (count == 0) return bad("certificate");
  ERR_clear_error();
  return {};
}

using Mark = std::array<unsigned char, 32>;
static_assert(sizeof(Mark) <= SSL_MAX_SID_CTX_LENGTH);

// What a session that is resumed must have begun with.
Mark markOf(std::string_view chainPem, const TlsRules& rules) {
  std::string all =
      std::to_string(static_cast<int>(rules.least)) + std::to_string(static_cast<int>(rules.most));
  for (const std::string_view part :
       {std::string_view(rules.suites.upTo12), std::string_view(rules.suites.from13), chainPem}) {
    all += '\n';
    all += part;
  }
  Mark mark{};
  unsigned int size = 0;
  const int made = EVP_Digest(all.data(), all.size(), mark.data(), &size, EVP_sha256(), nullptr);
  OKIBI_CHECK(made == 1 && size == mark.size(), "OpenSSL has SHA-256");
  return mark;
}

}  // namespace

struct TlsIdentity::Impl {
  Context context;
  TlsRules rules;
  Mark mark{};  // of certificate and rules
};

TlsIdentity::TlsIdentity(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsIdentity::~TlsIdentity() = default;

Result<std::shared_ptr<const TlsIdentity>> TlsIdentity::make(std::string_view chainPem,
                                                             std::string_view keyPem,
                                                             const TlsRules& rules) {
  auto impl = std::make_unique<Impl>(newServerContext(), rules, markOf(chainPem, rules));
  SSL_CTX* context = impl->context.get();
  if (auto used = useChain(context, chainPem); !used) return fail(used.error());
  const Bio in = readerOf(keyPem);
  const Key key(PEM_read_bio_PrivateKey(in.get(), nullptr, noPassphrase, nullptr));
  if (!key || SSL_CTX_use_PrivateKey(context, key.get()) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return bad("privateKey");
  }
  return std::shared_ptr<const TlsIdentity>(new TlsIdentity(std::move(impl)));
}

// ---- handshakes

struct TlsAcceptor::Impl {
  Context context = newServerContext();
  Choose choose;
};

struct TlsSession::Impl {
  Owned<SSL, SSL_free> ssl;
  std::shared_ptr<const TlsIdentity> identity;
  const TlsAcceptor::Impl* acceptor = nullptr;
  TlsSession* session = nullptr;
  bool established = false, ended = false, broken = false;
};

namespace {

std::string whyFailed(const SSL* ssl) {
  const long verdict = SSL_get_verify_result(ssl);
  if (verdict == X509_V_OK) return lastError();
  ERR_clear_error();
  return std::string("the server's certificate is not accepted: ") +
         X509_verify_cert_error_string(verdict);
}

// Before version and suite are chosen, so that a name's own rules count.
int onClientHello(SSL* ssl, int* alert, void*) {
  auto& impl = *static_cast<TlsSession::Impl*>(SSL_get_app_data(ssl));
  const unsigned char* data = nullptr;
  std::size_t size = 0;
  std::string name;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size) == 1) {
    auto read = readServerName({data, size});
    *alert = SSL_AD_DECODE_ERROR;
    if (!read) return SSL_CLIENT_HELLO_ERROR;
    name = std::move(*read);
  }
  impl.identity = impl.acceptor->choose(name);
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  if (!impl.identity) return SSL_CLIENT_HELLO_ERROR;
  const TlsIdentity::Impl& identity = impl.identity->impl();
  const TlsRules& rules = identity.rules;
  *alert = SSL_AD_INTERNAL_ERROR;
  const bool set =
      SSL_set_SSL_CTX(ssl, identity.context.get()) != nullptr &&
      SSL_set_session_id_context(ssl, identity.mark.data(), identity.mark.size()) == 1 &&
      SSL_set_min_proto_version(ssl, protocolOf(rules.least)) == 1 &&
      SSL_set_max_proto_version(ssl, protocolOf(rules.most)) == 1 &&
      (rules.suites.upTo12.empty() || SSL_set_cipher_list(ssl, rules.suites.upTo12.c_str()) == 1) &&
      (rules.suites.from13.empty() || SSL_set_ciphersuites(ssl, rules.suites.from13.c_str()) == 1);
  if (!set) return SSL_CLIENT_HELLO_ERROR;
  impl.session->named(std::move(name));
  return SSL_CLIENT_HELLO_SUCCESS;
}

}  // namespace

TlsAcceptor::TlsAcceptor(Choose choose) : impl_(std::make_unique<Impl>()) {
  impl_->choose = std::move(choose);
  SSL_CTX_set_client_hello_cb(impl_->context.get(), onClientHello, nullptr);
}
TlsAcceptor::~TlsAcceptor() = default;

std::unique_ptr<TlsSession> TlsAcceptor::session(int fd) const {
  std::unique_ptr<TlsSession> session = TlsSession::over(impl_->context.get(), fd);
  session->impl_->acceptor = impl_.get();
  SSL_set_accept_state(session->impl_->ssl.get());
  return session;
}

// ---- the client's side

struct TlsConnector::Impl {
  Context context = newContext(TLS_client_method());
};

TlsConnector::TlsConnector(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsConnector::~TlsConnector() = default;

Result<std::unique_ptr<TlsConnector>> TlsConnector::make(std::string_view authorities) {
  auto impl = std::make_unique<Impl>();
  SSL_CTX* context = impl->context.get();
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(kAlpnHttp11.data()),
                          static_cast<unsigned>(kAlpnHttp11.size()));
  if (authorities.empty()) {
    SSL_CTX_set_default_verify_paths(context);
  } else if (auto believed = believe(context, authorities); !believed) {
    return fail(believed.error());
  }
  return std::unique_ptr<TlsConnector>(new TlsConnector(std::move(impl)));
}

std::unique_ptr<TlsSession> TlsConnector::session(int fd, const std::string& name) const {
  std::unique_ptr<TlsSession> session = TlsSession::over(impl_->context.get(), fd);
  SSL* ssl = session->impl_->ssl.get();
  // An address has no place in the extension (RFC 6066, section 3).
  const bool isAddress = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) == 1;
  const bool named = isAddress || (SSL_set1_host(ssl, name.c_str()) == 1 &&
                                   SSL_set_tlsext_host_name(ssl, name.c_str()) == 1);
  OKIBI_CHECK(named, "there is memory");
  ERR_clear_error();
  SSL_set_connect_state(ssl);
  return session;
}

// ---- one connection

std::unique_ptr<TlsSession> TlsSession::over(ssl_ctx_st* context, int fd) {
  std::unique_ptr<TlsSession> session(new TlsSession);
  Impl& impl = *session->impl_;
  impl.session = session.get();
  impl.ssl.reset(SSL_new(context));
  BIO* bio = BIO_new(socketMethod());
  OKIBI_CHECK(impl.ssl != nullptr && bio != nullptr, "there is memory");
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  BIO_set_init(bio, 1);
  SSL_set_bio(impl.ssl.get(), bio, bio);
  SSL_set_app_data(impl.ssl.get(), &impl);
  return session;
}

TlsSession::TlsSession() : impl_(std::make_unique<Impl>()) {}
TlsSession::~TlsSession() = default;

TlsSession::Step TlsSession::after(int result) {
  switch (SSL_get_error(impl_->ssl.get(), result)) {
    case SSL_ERROR_NONE:
      return Step::Done;
    case SSL_ERROR_WANT_READ:
      return Step::WantsRead;
    case SSL_ERROR_WANT_WRITE:
      return Step::WantsWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Step::Ended;
    default:
      impl_->broken = true;
      failure_ = "TLS: " + whyFailed(impl_->ssl.get());
      return Step::Failed;
  }
}

TlsSession::Step TlsSession::handshake() {
  ERR_clear_error();
  const Step step = after(SSL_do_handshake(impl_->ssl.get()));
  impl_->established = step == Step::Done;
  return step;
}

TlsSession::Step TlsSession::read(std::span<char> into, std::size_t& count) {
  ERR_clear_error();
  return after(SSL_read_ex(impl_->ssl.get(), into.data(), into.size(), &count));
}

TlsSession::Step TlsSession::write(std::string_view bytes, std::size_t& count) {
  ERR_clear_error();
  return after(SSL_write_ex(impl_->ssl.get(), bytes.data(), bytes.size(), &count));
}

void TlsSession::sayEnd() {
  if (!impl_->established || impl_->broken || std::exchange(impl_->ended, true)) return;
  SSL_shutdown(impl_->ssl.get());
  ERR_clear_error();
}

std::optional<std::string> readServerName(std::span<const std::uint8_t> extension) {
  constexpr std::uint8_t kHostNameType = 0;
  const auto number = [&](std::size_t at) {
    return static_cast<std::size_t>(extension[at] << 8 | extension[at + 1]);
  };
  // The length of the list, one entry's type, its length, its text; more than one is not allowed.
  if (extension.size() < 5 || number(0) != extension.size() - 2) return std::nullopt;
  if (extension[2] != kHostNameType || number(3) != extension.size() - 5) return std::nullopt;
  const std::string_view name(reinterpret_cast<const char*>(extension.data()) + 5,
                              extension.size() - 5);
  if (name.empty() || name.size() > kHostNameMost) return std::nullopt;
  for (const char c : name) {
    if (c <= ' ' || c >= '\x7f') return std::nullopt;
  }
  return toLower(name);
}

}  // namespace okibi::net
