#pragma once
// Every limit of the platform, with its unit, in one place. The source is Function Compute's
// documentation where it has such a limit.

#include <cstddef>
#include <cstdint>

#include "base/units.h"

namespace okibi::limits {

// Requests (Function Compute limits on invocations)
inline constexpr Bytes kRequestHeaders = Bytes::kib(8);   // keys and values together
inline constexpr Bytes kRequestTarget = Bytes::kib(4);    // path with query
inline constexpr Bytes kResponseHeaders = Bytes::kib(8);  // from the container
inline constexpr Bytes kSyncBody = Bytes::mib(32);        // request body, also an API answer's body
inline constexpr Bytes kApiBody = Bytes::mib(1);          // JSON of the control API
inline constexpr Bytes kSpoolMemory = Bytes::kib(256);  // a spooled body beyond this goes to a file
inline constexpr Bytes kLogLine = Bytes::kib(32);
inline constexpr Bytes kLogTail = Bytes::kib(4);  // X-Fc-Log-Result
inline constexpr Bytes kLogKept = Bytes::mib(1);  // per function, in memory, for `okibi logs`

// Functions
inline constexpr std::size_t kFunctionNameLength = 64;
inline constexpr std::size_t kAliasNameLength = 128;
inline constexpr Bytes kEnvironment = Bytes::kib(4);
inline constexpr int kConcurrencyMin = 1, kConcurrencyMax = 200;
inline constexpr std::chrono::seconds kTimeoutMin{1}, kTimeoutMax{86400};
inline constexpr std::chrono::seconds kIdleTimeoutMin{1}, kIdleTimeoutMax{3600}, kIdleDefault{300};
inline constexpr std::chrono::seconds kInitializerTimeoutMax{300}, kPreStopTimeoutMax{90};
inline constexpr std::chrono::seconds kHookTimeoutDefault{3};
inline constexpr std::chrono::seconds kListenTimeout{120};  // start check: the port must accept
inline constexpr int kTriggersPerFunction = 50;

// Model directories
inline constexpr std::size_t kModelRoots = 64, kModelRootName = 64;  // of a machine; characters
inline constexpr std::size_t kModelDirectories = 16;                 // of a function
inline constexpr std::size_t kModelPathLength = 1024;                // of a path that a user names

// Custom domains (Function Compute's, where it names one)
inline constexpr std::size_t kDomainsPerAccount = 100;
inline constexpr std::size_t kDomainNameLength = 253;  // RFC 1035
inline constexpr std::size_t kRoutesPerDomain = 100;
inline constexpr std::size_t kRewriteRulesPerRoute = 100;
inline constexpr std::size_t kRewriteText = 1024;  // characters of a rule's match or replacement
inline constexpr Bytes kRegexMemory = Bytes::kib(256);  // of one compiled rule
inline constexpr Bytes kCertificate = Bytes::kib(20), kPrivateKey = Bytes::kib(4);
inline constexpr std::size_t kCipherSuites = 100;

// Accounts
inline constexpr std::size_t kAccounts = 1000;
inline constexpr std::size_t kAccountIdLength = 64;
inline constexpr std::size_t kKeysPerAccount = 10;
inline constexpr std::size_t kRolesPerAccount = 100, kGrantsPerRole = 50;

// What `okibi whatif` can play again, of each function
inline constexpr std::size_t kHistoryRequests = 100'000;  // the newest; about 7 MB of SQLite
inline constexpr std::chrono::days kHistoryAge{30};
inline constexpr std::size_t kHistoryPage = 10'000;

// Instances that have ended, as ListInstances and `okibi ps --all` show them, of each function
inline constexpr std::size_t kEndedInstances = 1000;  // the newest
inline constexpr std::chrono::days kEndedInstanceAge{30};

// Programs run inside instances (instance exec)
inline constexpr std::size_t kSessions = 64, kSessionsPerInstance = 8;
inline constexpr std::chrono::seconds kSessionIdleMax{600};  // without data, as the client has it
inline constexpr std::chrono::seconds kSessionMax{86'400};   // as the longest invocation
inline constexpr std::chrono::seconds kSessionDrain{10};  // what an instance on its way out waits
inline constexpr Bytes kSessionCommand = Bytes::kib(3);   // words together; a target has 4

// Instances
inline constexpr Duration kFreezeAfterIdle = std::chrono::seconds(1);
inline constexpr int kCardQuota = 30;       // GPU instances per account and region
inline constexpr int kInstanceQuota = 300;  // instances per account and region
inline constexpr std::size_t kQueuePerFunction = 10'000;
inline constexpr std::chrono::seconds kQueueDeadlineDefault{60};
inline constexpr int kPidsPerInstance = 1024;
inline constexpr Bytes kShmDefault = Bytes::mib(64);

// Asynchronous invocations
inline constexpr Bytes kAsyncBody = Bytes::kib(128);
inline constexpr int kAsyncRetriesMax = 8;
inline constexpr std::chrono::seconds kAsyncAgeMax{604'800};

// Signatures
inline constexpr std::chrono::minutes kSignatureSkew{15};

}  // namespace okibi::limits
