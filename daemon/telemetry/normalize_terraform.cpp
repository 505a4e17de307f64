// SPDX-License-Identifier: Apache-2.0
// `terraform apply -json` (and plan, destroy): one object on a line, "type" and one payload. The format's major version
// 1 promises that unknown types and members may be passed over. The text of a failure is not in apply_errored but in a
// later diagnostic with the same address.
#include <array>
#include <map>

#include <fmt/format.h>

#include "daemon/telemetry/tool_stream.hpp"

namespace histod::daemon::telemetry {

namespace {

namespace json = boost::json;

struct TerraformType {
  std::string_view type;
  Severity severity;
  std::string_view status;
};
constexpr std::array<TerraformType, 14> k_terraform_types{{{"version", Severity::info, "started"},
                                                           {"planned_change", Severity::info, ""},
                                                           {"resource_drift", Severity::warning, "changed"},
                                                           {"change_summary", Severity::info, "progress"},
                                                           {"outputs", Severity::info, ""},
                                                           {"apply_start", Severity::info, "started"},
                                                           {"apply_progress", Severity::info, "progress"},
                                                           {"apply_complete", Severity::ok, "succeeded"},
                                                           {"apply_errored", Severity::error, "failed"},
                                                           {"provision_start", Severity::info, "progress"},
                                                           {"provision_complete", Severity::info, "progress"},
                                                           {"provision_errored", Severity::error, "progress"},
                                                           {"refresh_start", Severity::debug, ""},
                                                           {"refresh_complete", Severity::debug, ""}}};

constexpr std::size_t k_resources_max = 16'384;

/// What a resource's failure is told with, and which event it was.
struct TerraformFailure {
  std::string event_id;
  std::optional<std::int64_t> duration_ms;
};

Severity terraform_level(std::string_view level) {
  if (level == "error") return Severity::error;
  if (level == "warn" || level == "warning") return Severity::warning;
  return level == "debug" || level == "trace" ? Severity::debug : Severity::info;
}

/// The detail without a failing command and what it wrote, which may hold anything:
/// "Error running command '...': exit status 3. Output: ...".
std::string without_command(std::string_view detail) {
  constexpr std::string_view k_begin = "Error running command '";
  constexpr std::string_view k_output = " Output: ";
  std::string out(detail);
  if (const std::size_t at = out.find(k_output); at != std::string::npos) {
    const std::size_t bytes = out.size() - at - k_output.size();
    out.replace(at + k_output.size(), bytes, fmt::format("[{} bytes withheld]", bytes));
  }
  const std::size_t begin = out.find(k_begin);
  if (begin == std::string::npos) return out;
  const std::size_t command = begin + k_begin.size();
  const std::size_t end = out.rfind("': ");
  return out.replace(command, end == std::string::npos || end < command ? out.size() - command : end - command,
                     "[withheld]");
}

/// Names only: a value need not be marked as sensitive to be a secret.
json::value names_of_outputs(const json::object& document) {
  json::object out;
  for (const auto& [name, output] : object_at(document, {"outputs"})) {
    const json::value* action = json_at(output, {"action"});
    out[name] = action ? *action : json::value("value withheld");
  }
  return json::object{{"outputs", std::move(out)}};
}

class TerraformStream final : public ToolStream {
 public:
  explicit TerraformStream(NormalizerOptions options) : ToolStream("terraform", std::move(options)) {}

 private:
  void take(const json::object& document) override {
    const std::string type = text_at(document, {"type"});
    Fact fact{.verb = type,
              .message = text_at(document, {"@message"}),
              .severity = terraform_level(text_at(document, {"@level"})),
              .time = text_at(document, {"@timestamp"}),
              .layer = "hardware"};
    if (type == "diagnostic") return tell_diagnostic(document, std::move(fact));
    if (type == "provision_progress") return withhold_output(document);
    set_resource(document, fact);
    for (const TerraformType& known : k_terraform_types) {
      if (known.type != type) continue;
      fact.severity = known.severity;
      fact.status = known.status;
    }
    fact.raw = document;
    if (type == "outputs") fact.raw = names_of_outputs(document);
    if (type == "change_summary") summarize(document, fact);
    if (type.starts_with("provision_")) add_withheld(fact);
    if (fact.message.empty()) fact.message = fmt::format("terraform: {}", type);
    remember_and_tell(std::move(fact), type);
  }

  void set_resource(const json::object& document, Fact& fact) {
    for (const std::string_view payload : {"hook", "change"}) {
      const json::object& of = object_at(document, {payload});
      if (fact.resource.empty()) fact.resource = text_at(of, {"resource", "addr"});
      if (const auto seconds = number_at(of, {"elapsed_seconds"})) fact.duration_ms = *seconds * 1'000;
    }
    // An address such as tls_private_key.ca stays readable.
    if (!fact.resource.empty() && fact.message.starts_with(fact.resource + ": ")) {
      fact.plain_bytes = fact.resource.size() + 2;
    }
  }

  /// Of the plan and, when all went well, of the apply.
  void summarize(const json::object& document, Fact& fact) {
    const std::string operation = text_at(document, {"changes", "operation"});
    if (operation == "plan") return;
    fact.severity = Severity::ok;
    fact.status = "succeeded";
  }

  void remember_and_tell(Fact fact, std::string_view type) {
    const std::string resource = fact.resource;
    const TerraformFailure failure{.event_id = {}, .duration_ms = fact.duration_ms};
    tell(std::move(fact));
    if (type != "apply_errored" || resource.empty()) return;
    make_room(failed_, k_resources_max);
    failed_[seen_text(resource)] = {last_id(), failure.duration_ms};
  }

  void tell_diagnostic(const json::object& document, Fact fact) {
    const json::object& diagnostic = object_at(document, {"diagnostic"});
    const std::string summary = text_at(diagnostic, {"summary"});
    const std::string detail = without_command(text_at(diagnostic, {"detail"}));
    fact.severity = terraform_level(text_at(diagnostic, {"severity"}));
    fact.resource = text_at(diagnostic, {"address"});
    const bool error = fact.severity == Severity::error;
    fact.message = fmt::format("{}{}{}{}{}", error ? "Error: " : "Warning: ", fact.resource,
                               fact.resource.empty() ? "" : ": ", summary, detail.empty() ? "" : ": " + detail);
    if (error) {
      fact.status = "failed";
      fact.error = detail.empty() ? summary : summary + "\n" + detail;
    }
    if (const auto failed = failed_.find(seen_text(fact.resource)); error && failed != failed_.end()) {
      fact.duration_ms = failed->second.duration_ms;
      fact.more["failed_event"] = failed->second.event_id;
    }
    // The snippet has the configuration's own text, and values of it.
    json::object raw{{"severity", text_at(diagnostic, {"severity"})}, {"summary", summary}, {"detail", detail}};
    if (const json::value* range = json_at(diagnostic, {"range"})) raw["range"] = *range;
    fact.raw = std::move(raw);
    tell(std::move(fact));
  }

  /// What provisioners print may hold anything: its lines are counted.
  void withhold_output(const json::object& document) {
    make_room(withheld_, k_resources_max);
    ++withheld_[seen_text(text_at(document, {"hook", "resource", "addr"}))];
  }

  void add_withheld(Fact& fact) {
    fact.raw = nullptr;
    const auto found = withheld_.find(seen_text(fact.resource));
    if (found == withheld_.end()) return;
    fact.message += fmt::format(" ({} line{} of output withheld)", found->second, found->second == 1 ? "" : "s");
    withheld_.erase(found);
  }

  std::map<std::string, TerraformFailure> failed_;
  std::map<std::string, unsigned> withheld_;
};

}  // namespace

std::unique_ptr<Normalizer> make_terraform(NormalizerOptions options) {
  return std::make_unique<TerraformStream>(std::move(options));
}

}  // namespace histod::daemon::telemetry
