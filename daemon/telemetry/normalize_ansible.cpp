// SPDX-License-Identifier: Apache-2.0
// What deploy/ansible/callback_plugins/histod_events.py writes: one object on a line,
// {"histod_ansible": 1, "rollout", "run", "seq", "time", "event", "playbook", "play", "role", "task", "action", "host",
//  "changed", "ignored", "duration_ms", "message", "no_log", "stats"}. `run` and `seq` name a line wherever it stands,
//  so that ids
// do not depend on how lines are put together.
#include <array>

#include <fmt/format.h>

#include "daemon/telemetry/tool_stream.hpp"

namespace histod::daemon::telemetry {

namespace {

namespace json = boost::json;

struct AnsibleVerb {
  std::string_view event;
  std::string_view title;  ///< what stands before the task's name
  Severity severity;
  std::string_view status;
};
constexpr std::array<AnsibleVerb, 9> k_ansible_verbs{{{"playbook_started", "", Severity::info, "started"},
                                                      {"play_started", "", Severity::info, "started"},
                                                      {"task_started", "TASK", Severity::debug, "started"},
                                                      {"task_ok", "ok", Severity::ok, "succeeded"},
                                                      {"task_changed", "changed", Severity::ok, "changed"},
                                                      {"task_skipped", "skipping", Severity::debug, "skipped"},
                                                      {"task_failed", "failed", Severity::error, "failed"},
                                                      {"host_unreachable", "unreachable", Severity::error, "failed"},
                                                      {"playbook_finished", "", Severity::ok, "succeeded"}}};

constexpr AnsibleVerb k_ansible_unknown{"", "", Severity::info, "progress"};

struct LayerWord {
  std::string_view word;
  std::string_view layer;
};
/// The first that is in the name of play, role or task; else it is about the operating system.
constexpr std::array<LayerWord, 12> k_layer_words{{{"argocd", "gitops"},
                                                   {"argo cd", "gitops"},
                                                   {"flux", "gitops"},
                                                   {"gitops", "gitops"},
                                                   {"kube", "kubernetes"},
                                                   {"k8s", "kubernetes"},
                                                   {"containerd", "kubernetes"},
                                                   {"cni", "kubernetes"},
                                                   {"cilium", "kubernetes"},
                                                   {"calico", "kubernetes"},
                                                   {"histod", "workload"},
                                                   {"zookeeper", "workload"}}};

std::string_view ansible_layer(const json::object& line) {
  for (const std::string_view member : {"role", "play", "task"}) {
    const std::string name = lower_case(text_at(line, {member}));
    for (const LayerWord& each : k_layer_words) {
      if (name.contains(each.word)) return each.layer;
    }
  }
  return "os";
}

std::string ansible_recap(const json::object& stats) {
  std::string out;
  for (const auto& [host, counts] : stats) {
    out += fmt::format("{}{}: ok={} changed={} unreachable={} failed={} skipped={}", out.empty() ? "" : "; ",
                       std::string_view(host), number_at(counts, {"ok"}).value_or(0),
                       number_at(counts, {"changed"}).value_or(0), number_at(counts, {"unreachable"}).value_or(0),
                       number_at(counts, {"failures"}).value_or(0), number_at(counts, {"skipped"}).value_or(0));
    if (out.size() > 900) break;
  }
  return out;
}

bool has_failures(const json::object& stats) {
  for (const auto& [host, counts] : stats) {
    if (number_at(counts, {"failures"}).value_or(0) > 0 || number_at(counts, {"unreachable"}).value_or(0) > 0) {
      return true;
    }
  }
  return false;
}

class AnsibleStream final : public ToolStream {
 public:
  explicit AnsibleStream(NormalizerOptions options) : ToolStream("ansible", std::move(options)) {}

 private:
  void take(const json::object& line) override {
    const std::string run = text_at(line, {"run"});
    const std::string rollout = text_at(line, {"rollout"});
    if (!run.empty()) adopt_rollout(rollout.empty() ? run : rollout);
    if (const auto sequence = number_at(line, {"seq"}); sequence && !run.empty()) {
      set_place(fmt::format("{}/{}", run, *sequence));
    }
    const std::string event = text_at(line, {"event"});
    AnsibleVerb verb = k_ansible_unknown;
    for (const AnsibleVerb& each : k_ansible_verbs) {
      if (each.event == event) verb = each;
    }
    Fact fact{.verb = event,
              .severity = verb.severity,
              .time = text_at(line, {"time"}),
              .node = text_at(line, {"host"}),
              .layer = ansible_layer(line),
              .resource = resource_of(line),
              .status = verb.status,
              .duration_ms = number_at(line, {"duration_ms"}),
              .raw = line};
    if (fact.status == "failed") add_failure(line, fact);
    if (event == "playbook_finished" && has_failures(object_at(line, {"stats"}))) {
      fact.severity = Severity::error;
      fact.status = "failed";
    }
    fact.message = message_of(line, event, verb.title);
    tell(std::move(fact));
  }

  static std::string resource_of(const json::object& line) {
    for (const std::string_view member : {"task", "play", "playbook"}) {
      if (std::string name = text_at(line, {member}); !name.empty()) return name;
    }
    return {};
  }

  static void add_failure(const json::object& line, Fact& fact) {
    fact.error = text_at(line, {"message"});
    const json::value* ignored = json_at(line, {"ignored"});
    if (!ignored || !ignored->is_bool() || !ignored->get_bool()) return;
    fact.severity = Severity::warning;
    fact.more["ignored"] = true;
  }

  /// As Ansible prints it: "changed: [node1] kubeadm : Install packages".
  static std::string message_of(const json::object& line, std::string_view event, std::string_view title) {
    const std::string task = text_at(line, {"task"});
    const std::string host = text_at(line, {"host"});
    if (event == "playbook_started") return fmt::format("PLAYBOOK {}", text_at(line, {"playbook"}));
    if (event == "play_started") return fmt::format("PLAY [{}]", text_at(line, {"play"}));
    if (event == "playbook_finished") return fmt::format("PLAY RECAP {}", ansible_recap(object_at(line, {"stats"})));
    if (title == "TASK") return fmt::format("TASK [{}]", task);
    const std::string message = text_at(line, {"message"});
    return fmt::format("{}{}{}{}{}", title.empty() ? event : title, host.empty() ? "" : ": [" + host + "]",
                       task.empty() ? "" : " ", task, message.empty() ? "" : ": " + message);
  }
};

}  // namespace

std::unique_ptr<Normalizer> make_ansible(NormalizerOptions options) {
  return std::make_unique<AnsibleStream>(std::move(options));
}

}  // namespace histod::daemon::telemetry
