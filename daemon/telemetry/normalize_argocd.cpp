// SPDX-License-Identifier: Apache-2.0
// Argo CD in any of four shapes: a notification's body as our template writes it, {"app", "trigger", "revision",
// "phase", "health", "sync", "message", "time"}; the same as a CloudEvent's data; {"app": Application}; an Application
// of a watch ({"type", "object"}). Applications that say the same again are told once.
#include <map>

#include <fmt/format.h>

#include "daemon/telemetry/tool_stream.hpp"

namespace histod::daemon::telemetry {

namespace {

namespace json = boost::json;

struct AppState {
  std::string name = {};
  std::string trigger = {};
  std::string revision = {};
  std::string phase = {};   ///< Running, Succeeded, Failed, Error, Terminating
  std::string health = {};  ///< Healthy, Progressing, Degraded, Suspended, Missing, Unknown
  std::string sync = {};    ///< Synced, OutOfSync, Unknown
  std::string message = {};
  std::string time = {};
};

AppState read_application(const json::object& app) {
  AppState state{.name = text_at(app, {"metadata", "name"}),
                 .revision = text_at(app, {"status", "operationState", "syncResult", "revision"}),
                 .phase = text_at(app, {"status", "operationState", "phase"}),
                 .health = text_at(app, {"status", "health", "status"}),
                 .sync = text_at(app, {"status", "sync", "status"}),
                 .message = text_at(app, {"status", "operationState", "message"}),
                 .time = text_at(app, {"status", "operationState", "finishedAt"})};
  if (state.revision.empty()) state.revision = text_at(app, {"status", "sync", "revision"});
  if (state.time.empty()) state.time = text_at(app, {"status", "operationState", "startedAt"});
  return state;
}

AppState read_notification(const json::object& body) {
  return {.name = text_at(body, {"app"}),
          .trigger = text_at(body, {"trigger"}),
          .revision = text_at(body, {"revision"}),
          .phase = text_at(body, {"phase"}),
          .health = text_at(body, {"health"}),
          .sync = text_at(body, {"sync"}),
          .message = text_at(body, {"message"}),
          .time = text_at(body, {"time"})};
}

/// What it means, worst first. Deployed is synced and healthy.
struct AppVerdict {
  std::string_view verb;
  Severity severity;
  std::string_view status;
};
AppVerdict app_verdict(const AppState& state) {
  if (state.phase == "Failed" || state.phase == "Error") return {"sync_failed", Severity::error, "failed"};
  if (state.health == "Degraded") return {"health_degraded", Severity::error, "failed"};
  if (state.phase == "Running") return {"sync_running", Severity::info, "started"};
  if (state.phase == "Succeeded" && state.health == "Healthy") return {"deployed", Severity::ok, "succeeded"};
  if (state.phase == "Succeeded") return {"sync_succeeded", Severity::info, "progress"};
  if (state.sync == "Unknown") return {"sync_status_unknown", Severity::warning, "progress"};
  return {"state", Severity::info, "progress"};
}

class ArgocdStream final : public ToolStream {
 public:
  explicit ArgocdStream(NormalizerOptions options) : ToolStream("argocd", std::move(options)) {}

 private:
  void take(const json::object& document) override {
    if (document.contains("specversion")) {
      const json::value* data = document.if_contains("data");
      if (data && data->is_object()) return take_body(data->get_object(), text_at(document, {"time"}));
    }
    const json::value* object = document.if_contains("object");
    if (object && object->is_object()) {
      const std::string event = text_at(document, {"type"});
      if (event == "BOOKMARK") return;
      return take_application(object->get_object(), event);
    }
    take_body(document, "");
  }

  void take_body(const json::object& body, std::string time) {
    if (text_at(body, {"kind"}) == "Application") return take_application(body, "");
    const json::value* app = body.if_contains("app");
    if (app && app->is_object()) {
      AppState state = read_application(app->get_object());
      state.trigger = text_at(body, {"trigger"});
      return tell_state(state, nullptr);
    }
    AppState state = read_notification(body);
    if (state.time.empty()) state.time = std::move(time);
    tell_state(state, body);
  }

  void take_application(const json::object& app, std::string_view event) {
    const AppState state = read_application(app);
    if (event == "DELETED") {
      seen_.erase(seen_text(state.name));
      return tell({.verb = "deleted",
                   .message = fmt::format("application {} is deleted", state.name),
                   .layer = "gitops",
                   .resource = state.name});
    }
    const std::string name = seen_text(state.name);
    if (!seen_.contains(name)) make_room(seen_, 4'096);
    const std::string now =
        seen_text(fmt::format("{} {} {} {}", state.phase, state.health, state.sync, state.revision));
    std::string& before = seen_[name];
    if (std::exchange(before, now) != now) tell_state(state, nullptr);
  }

  void tell_state(const AppState& state, json::value raw) {
    const AppVerdict verdict = app_verdict(state);
    std::string verb = state.trigger.starts_with("on-") ? state.trigger.substr(3) : state.trigger;
    if (verb.empty()) verb = verdict.verb;
    const auto part = [](std::string_view name, std::string_view value) {
      return value.empty() ? std::string() : fmt::format(", {} {}", name, value);
    };
    const bool failed = verdict.status == "failed";
    if (raw.is_null()) {
      raw = json::object{{"phase", state.phase},
                         {"health", state.health},
                         {"sync", state.sync},
                         {"revision", state.revision},
                         {"message", state.message}};
    }
    tell({.verb = verb,
          .message = fmt::format("application {}: {}{}{}{}{}{}", state.name.empty() ? "-" : state.name,
                                 state.phase.empty() ? verb : state.phase, part("health", state.health),
                                 part("sync", state.sync), part("revision", state.revision.substr(0, 64)),
                                 state.message.empty() ? "" : ": ", state.message),
          .severity = verdict.severity,
          .time = state.time,
          .layer = "gitops",
          .resource = state.name,
          .status = verdict.status,
          .error = failed ? (verdict.verb == "sync_failed" && !state.message.empty() ? state.message
                                                                                     : "health is " + state.health)
                          : "",
          .raw = std::move(raw)});
  }

  std::map<std::string, std::string> seen_;
};

}  // namespace

std::unique_ptr<Normalizer> make_argocd(NormalizerOptions options) {
  return std::make_unique<ArgocdStream>(std::move(options));
}

}  // namespace histod::daemon::telemetry
