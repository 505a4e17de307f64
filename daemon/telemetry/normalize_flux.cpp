// SPDX-License-Identifier: Apache-2.0
// The body that Flux' notification controller posts to a provider of type generic or generic-hmac:
// {"involvedObject": {kind, namespace, name}, "severity", "reason", "message", "metadata", "timestamp", ...}.
#include <array>

#include <fmt/format.h>

#include "daemon/telemetry/tool_stream.hpp"

namespace histod::daemon::telemetry {

namespace {

namespace json = boost::json;

struct FluxReason {
  std::string_view reason;
  std::string_view status;
  Severity severity;
};
constexpr std::array<FluxReason, 8> k_flux_reasons{{{"ReconciliationSucceeded", "succeeded", Severity::ok},
                                                    {"Succeeded", "succeeded", Severity::ok},
                                                    {"InstallSucceeded", "succeeded", Severity::ok},
                                                    {"UpgradeSucceeded", "succeeded", Severity::ok},
                                                    {"NewArtifact", "changed", Severity::info},
                                                    {"ArtifactUpToDate", "progress", Severity::debug},
                                                    {"Progressing", "progress", Severity::info},
                                                    {"DependencyNotReady", "progress", Severity::info}}};

/// "main@sha1:0123..." under any of the names that Flux' controllers use.
std::string flux_revision(const json::object& body) {
  for (const auto& [name, value] : object_at(body, {"metadata"})) {
    if (std::string_view(name).ends_with("revision") && value.is_string()) return std::string(value.get_string());
  }
  return {};
}

class FluxStream final : public ToolStream {
 public:
  explicit FluxStream(NormalizerOptions options) : ToolStream("flux", std::move(options)) {}

 private:
  void take(const json::object& body) override {
    const std::string reason = text_at(body, {"reason"});
    const bool failed = text_at(body, {"severity"}) == "error";
    const std::string message = text_at(body, {"message"});
    const std::string resource =
        fmt::format("{}/{}/{}", text_at(body, {"involvedObject", "kind"}),
                    text_at(body, {"involvedObject", "namespace"}), text_at(body, {"involvedObject", "name"}));
    Fact fact{.verb = reason,
              .time = text_at(body, {"timestamp"}),
              .layer = "gitops",
              .resource = resource == "//" ? "" : resource,
              .status = "progress",
              .raw = body};
    for (const FluxReason& known : k_flux_reasons) {
      if (known.reason != reason) continue;
      fact.status = known.status;
      fact.severity = known.severity;
    }
    if (failed) {
      fact.status = "failed";
      fact.severity = Severity::error;
      fact.error = message;
    }
    const std::string revision = flux_revision(body);
    fact.message =
        fmt::format("{}: {}{}{}{}", fact.resource.empty() ? "-" : fact.resource, reason.empty() ? "event" : reason,
                    revision.empty() ? "" : ", revision " + revision, message.empty() ? "" : ": ", message);
    tell(std::move(fact));
  }
};

}  // namespace

std::unique_ptr<Normalizer> make_flux(NormalizerOptions options) {
  return std::make_unique<FluxStream>(std::move(options));
}

}  // namespace histod::daemon::telemetry
