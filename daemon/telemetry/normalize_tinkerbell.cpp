// SPDX-License-Identifier: Apache-2.0
// Tinkerbell's Workflows: what `kubectl get workflows -o json --watch --output-watch-events` writes, one
// {"type", "object"} on a line. Each line is the whole state: what changed since the line before is told.
#include <map>
#include <set>

#include <fmt/format.h>

#include "daemon/telemetry/tool_stream.hpp"

namespace histod::daemon::telemetry {

namespace {

namespace json = boost::json;

struct WorkflowSeen {
  std::string state;
  std::map<std::string, std::string> actions;  ///< state by task/action
  std::set<std::string> conditions;            ///< "Type=Status"
};

struct WorkflowMood {
  Severity severity;
  std::string_view status;
};

/// Of a workflow, and of an action.
WorkflowMood workflow_mood(std::string_view state) {
  if (state == "SUCCESS") return {Severity::ok, "succeeded"};
  if (state == "FAILED" || state == "TIMEOUT") return {Severity::error, "failed"};
  if (state == "RUNNING") return {Severity::info, "started"};
  return {Severity::info, "progress"};
}

class TinkerbellStream final : public ToolStream {
 public:
  explicit TinkerbellStream(NormalizerOptions options) : ToolStream("tinkerbell", std::move(options)) {}

 private:
  void take(const json::object& document) override {
    const std::string event = text_at(document, {"type"});
    const bool wrapped = document.contains("object");
    const json::object& object = wrapped ? object_at(document, {"object"}) : document;
    if (event == "BOOKMARK") return;
    if (wrapped && event == "ERROR") return tell_error(object);
    const std::string kind = text_at(object, {"kind"});
    if (kind == "WorkflowList" || kind == "List") {
      for (const json::value& each : array_at(object, {"items"})) {
        if (each.is_object()) take_workflow(each.get_object(), "");
      }
    } else if (kind == "Workflow") {
      take_workflow(object, event);
    } else {
      take_other(object, kind, event);
    }
  }

  void tell_error(const json::object& object) {
    const std::string message = text_at(object, {"message"});
    tell({.verb = "watch_error",
          .message = fmt::format("the watch of workflows ended: {}", message),
          .severity = Severity::warning,
          .layer = "hardware",
          .error = message,
          .raw = object});
  }

  void take_other(const json::object& object, std::string_view kind, std::string_view event) {
    const std::string name = text_at(object, {"metadata", "name"});
    tell({.verb = verb_of(kind),
          .message = fmt::format("{} {}: {}", kind.empty() ? "an object" : kind, name, lower_case(event)),
          .severity = Severity::debug,
          .layer = "hardware",
          .resource = name,
          .raw = object});
  }

  void take_workflow(const json::object& object, std::string_view event) {
    const std::string name = seen_text(
        fmt::format("{}/{}", text_at(object, {"metadata", "namespace"}), text_at(object, {"metadata", "name"})));
    node_ = text_at(object, {"spec", "hardwareRef"});
    if (event == "DELETED") {
      seen_.erase(name);
      return tell({.verb = "workflow_deleted",
                   .message = fmt::format("workflow {} is deleted", name),
                   .node = node_,
                   .layer = "hardware",
                   .resource = name});
    }
    if (!seen_.contains(name)) make_room(seen_);
    WorkflowSeen& seen = seen_[name];
    tell_conditions(object, name, seen);
    tell_actions(object, name, seen);
    tell_state(object, name, seen);
  }

  void tell_state(const json::object& object, const std::string& name, WorkflowSeen& seen) {
    const std::string state = seen_text(text_at(object, {"status", "state"}));
    if (state == seen.state || state.empty()) return;
    seen.state = state;
    const WorkflowMood mood = workflow_mood(state);
    const bool before_boot = state == "PREPARING" || state == "PENDING";
    Fact fact{.verb = "workflow_" + lower_case(state),
              .message = fmt::format("workflow {} on {}: {}", name, node_.empty() ? "-" : node_, state),
              .severity = mood.severity,
              .node = node_,
              .layer = before_boot ? "hardware" : "os",
              .resource = name,
              .status = mood.status};
    if (fact.status == "failed") fact.error = failure_of(object);
    fact.raw = json::object{{"state", state}, {"currentState", object_at(object, {"status", "currentState"})}};
    tell(std::move(fact));
  }

  /// The message of the action that failed, else the name of the one that it was at.
  std::string failure_of(const json::object& object) {
    for (const json::value& task : array_at(object, {"status", "tasks"})) {
      for (const json::value& action : array_at(task, {"actions"})) {
        const std::string state = text_at(action, {"state"});
        if (state == "FAILED" || state == "TIMEOUT") {
          return fmt::format("{}: {}", text_at(action, {"name"}), text_at(action, {"message"}));
        }
      }
    }
    return text_at(object, {"status", "currentState", "actionName"});
  }

  void tell_actions(const json::object& object, const std::string& name, WorkflowSeen& seen) {
    for (const json::value& task : array_at(object, {"status", "tasks"})) {
      for (const json::value& action : array_at(task, {"actions"})) {
        tell_action(name, text_at(task, {"name"}), action, seen);
      }
    }
  }

  void tell_action(const std::string& name, const std::string& task, const json::value& action, WorkflowSeen& seen) {
    const std::string title = text_at(action, {"name"});
    const std::string state = seen_text(text_at(action, {"state"}));
    make_room(seen.actions);
    std::string& before = seen.actions[seen_text(task + "/" + title)];
    if (state.empty() || state == before || (state == "PENDING" && before.empty())) return;
    before = state;
    const WorkflowMood mood = workflow_mood(state);
    const std::string message = text_at(action, {"message"});
    const bool failed = mood.severity == Severity::error;
    const std::string start = text_at(action, {"executionStart"});
    const std::string stop = text_at(action, {"executionStop"});
    tell({.verb = "action_" + lower_case(state),
          .message = fmt::format("{}: action {}: {}{}", name, title, state, failed ? " (" + message + ")" : ""),
          .severity = mood.severity,
          .time = stop.empty() ? start : stop,
          .node = node_,
          .layer = "os",
          .resource = fmt::format("{}/{}", name, title),
          .status = mood.status,
          .duration_ms = go_duration_ms(text_at(action, {"executionDuration"})),
          .error = failed ? message : "",
          .raw = action});
  }

  /// BootJobRunning, BootJobFailed, AllowNetbootTrue, TemplateRenderedSuccess...
  void tell_conditions(const json::object& object, const std::string& name, WorkflowSeen& seen) {
    for (const json::value& condition : array_at(object, {"status", "conditions"})) {
      const std::string type = text_at(condition, {"type"});
      const std::string status = text_at(condition, {"status"});
      make_room(seen.conditions);
      if (!seen.conditions.insert(seen_text(type + "=" + status)).second || type.empty()) continue;
      const std::string message = text_at(condition, {"message"});
      const bool failed = type.ends_with("Failed") && lower_case(status) == "true";
      tell({.verb = "condition",
            .message = fmt::format("{}: {} is {}{}", name, type, status, message.empty() ? "" : ": " + message),
            .severity = failed ? Severity::error : Severity::info,
            .time = text_at(condition, {"time"}),
            .node = node_,
            .layer = "hardware",
            .resource = name,
            .status = failed ? "failed" : "progress",
            .error = failed ? message : "",
            .raw = condition});
    }
  }

  std::map<std::string, WorkflowSeen> seen_;
  std::string node_;
};

}  // namespace

std::unique_ptr<Normalizer> make_tinkerbell(NormalizerOptions options) {
  return std::make_unique<TinkerbellStream>(std::move(options));
}

}  // namespace histod::daemon::telemetry
