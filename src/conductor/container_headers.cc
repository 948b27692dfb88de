// The headers a container is given with each request (Function Compute: custom containers).

#include "conductor/conductor.h"

namespace okibi::conductor {

void Conductor::addContainerHeaders(net::Headers& headers, const Revision& revision,
                                    const RequestLabels& labels) const {
  const FunctionSpec& spec = revision.spec;
  headers.add("x-fc-request-id", labels.requestId);
  headers.add("x-fc-function-name", spec.name);
  // A handler is a user's text; one that is no header value stays out.
  if (net::isFieldValue(spec.handler)) headers.add("x-fc-function-handler", spec.handler);
  headers.add("x-fc-function-memory", std::to_string(spec.memory.wholeMib()));
  headers.add("x-fc-region", settings_.region);
  headers.add("x-fc-account-id", revision.ref.account);
  headers.add("x-fc-qualifier", labels.qualifier);
  headers.add("x-fc-version-id", revision.version);
  headers.add("x-fc-control-path", labels.controlPath);
  const auto credentials = credentialsFor(revision, CredentialPlace::Request);
  if (!credentials) return;
  headers.add("x-fc-access-key-id", credentials->id);
  headers.add("x-fc-access-key-secret", credentials->secret);
  headers.add("x-fc-security-token", credentials->token);
}

}  // namespace okibi::conductor
