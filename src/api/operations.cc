#include "api/operations.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"

namespace okibi::api {
namespace {

// As in docs/openapi.json, which a test holds it against.
constexpr std::array kOperations = std::to_array<Operation>({
    {"POST", "functions", "CreateFunction"},
    {"GET", "functions", "ListFunctions"},
    {"GET", "functions/{functionName}", "GetFunction"},
    {"PUT", "functions/{functionName}", "UpdateFunction"},
    {"DELETE", "functions/{functionName}", "DeleteFunction"},
    {"POST", "functions/{functionName}/invocations", "InvokeFunction"},
    {"POST", "functions/{functionName}/invoke/disable", "DisableFunctionInvocation"},
    {"POST", "functions/{functionName}/invoke/enable", "EnableFunctionInvocation"},
    {"POST", "functions/{functionName}/triggers", "CreateTrigger"},
    {"GET", "functions/{functionName}/triggers", "ListTriggers"},
    {"GET", "functions/{functionName}/triggers/{triggerName}", "GetTrigger"},
    {"PUT", "functions/{functionName}/triggers/{triggerName}", "UpdateTrigger"},
    {"DELETE", "functions/{functionName}/triggers/{triggerName}", "DeleteTrigger"},
    {"POST", "functions/{functionName}/versions", "PublishFunctionVersion"},
    {"GET", "functions/{functionName}/versions", "ListFunctionVersions"},
    {"DELETE", "functions/{functionName}/versions/{versionId}", "DeleteFunctionVersion"},
    {"POST", "functions/{functionName}/aliases", "CreateAlias"},
    {"GET", "functions/{functionName}/aliases", "ListAliases"},
    {"GET", "functions/{functionName}/aliases/{aliasName}", "GetAlias"},
    {"PUT", "functions/{functionName}/aliases/{aliasName}", "UpdateAlias"},
    {"DELETE", "functions/{functionName}/aliases/{aliasName}", "DeleteAlias"},
    {"GET", "functions/{functionName}/provision-config", "GetProvisionConfig"},
    {"PUT", "functions/{functionName}/provision-config", "PutProvisionConfig"},
    {"DELETE", "functions/{functionName}/provision-config", "DeleteProvisionConfig"},
    {"GET", "provision-configs", "ListProvisionConfigs"},
    {"GET", "functions/{functionName}/scaling-config", "GetScalingConfig"},
    {"PUT", "functions/{functionName}/scaling-config", "PutScalingConfig"},
    {"DELETE", "functions/{functionName}/scaling-config", "DeleteScalingConfig"},
    {"GET", "scaling-configs", "ListScalingConfigs"},
    {"GET", "functions/{functionName}/async-invoke-config", "GetAsyncInvokeConfig"},
    {"PUT", "functions/{functionName}/async-invoke-config", "PutAsyncInvokeConfig"},
    {"DELETE", "functions/{functionName}/async-invoke-config", "DeleteAsyncInvokeConfig"},
    {"GET", "async-invoke-configs", "ListAsyncInvokeConfigs"},
    {"GET", "functions/{functionName}/concurrency", "GetConcurrencyConfig"},
    {"PUT", "functions/{functionName}/concurrency", "PutConcurrencyConfig"},
    {"DELETE", "functions/{functionName}/concurrency", "DeleteConcurrencyConfig"},
    {"GET", "concurrency-configs", "ListConcurrencyConfigs"},
    {"GET", "functions/{functionName}/instances", "ListInstances"},
    {"GET", "functions/{functionName}/instances/{instanceId}/exec", "InstanceExec"},
    {"GET", "functions/{functionName}/vpc-bindings", "ListVpcBindings"},
    {"GET", "functions/{functionName}/sessions", "ListSessions"},
    {"POST", "tags-v2", "TagResources"},
    {"GET", "tags-v2", "ListTagResources"},
    {"DELETE", "tags-v2", "UntagResources"},
    {"POST", "custom-domains", "CreateCustomDomain"},
    {"GET", "custom-domains", "ListCustomDomains"},
    {"GET", "custom-domains/{domainName}", "GetCustomDomain"},
    {"PUT", "custom-domains/{domainName}", "UpdateCustomDomain"},
    {"DELETE", "custom-domains/{domainName}", "DeleteCustomDomain"},
    {"GET", "layers", "ListLayers"},
    {"GET", "regions", "DescribeRegions"},
});

bool fits(std::string_view pattern, const std::vector<std::string>& path) {
  const auto parts = split(pattern, '/');
  return std::ranges::equal(parts, path, [](std::string_view part, std::string_view given) {
    return part.starts_with('{') || part == given;
  });
}

}  // namespace

std::span<const Operation> operations() {
  return kOperations;
}

std::string_view actionOf(std::string_view method, const std::vector<std::string>& path) {
  const auto* found = std::ranges::find_if(kOperations, [&](const Operation& operation) {
    return operation.method == method && fits(operation.path, path);
  });
  return found == kOperations.end() ? std::string_view() : found->action;
}

}  // namespace okibi::api
