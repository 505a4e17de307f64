// SPDX-License-Identifier: Apache-2.0
// Kubernetes: `kubectl get daemonsets,pods,nodes,events -o json --watch --output-watch-events` ({"type", "object"} on a
// line, or bare objects), and the lines of `kubectl rollout status`. Watches tell the whole object each time: what
// changed of a rollout, a pod's phase or a node's readiness is told.
#include <array>
#include <map>

#include <fmt/format.h>

#include "daemon/telemetry/tool_stream.hpp"

namespace histod::daemon::telemetry {

namespace {

namespace json = boost::json;

struct RolloutCounts {
  std::int64_t desired = 0;
  std::int64_t updated = 0;
  std::int64_t available = 0;
  bool observed = false;  ///< whether the counts are of the newest template
};

/// Of a DaemonSet, whose members have names of their own, or of a Deployment or StatefulSet.
RolloutCounts rollout_counts(const json::object& object, bool daemon_set) {
  const auto count = [&](std::string_view name) { return number_at(object, {"status", name}).value_or(0); };
  RolloutCounts out;
  out.desired = daemon_set ? count("desiredNumberScheduled") : number_at(object, {"spec", "replicas"}).value_or(1);
  out.updated = count(daemon_set ? "updatedNumberScheduled" : "updatedReplicas");
  out.available = count(daemon_set ? "numberAvailable" : "availableReplicas");
  out.observed = count("observedGeneration") >= number_at(object, {"metadata", "generation"}).value_or(0);
  return out;
}

std::string object_name(const json::object& object) {
  const std::string space = text_at(object, {"metadata", "namespace"});
  return seen_text(fmt::format("{}{}{}", space, space.empty() ? "" : "/", text_at(object, {"metadata", "name"})));
}

/// Why a pod's containers do not run: "CrashLoopBackOff", "ImagePullBackOff"...
std::string pod_trouble(const json::object& pod) {
  for (const json::value& container : array_at(pod, {"status", "containerStatuses"})) {
    const std::string reason = text_at(container, {"state", "waiting", "reason"});
    if (!reason.empty() && reason != "ContainerCreating" && reason != "PodInitializing") return reason;
  }
  return text_at(pod, {"status", "reason"});
}

std::string ready_status(const json::object& object) {
  for (const json::value& condition : array_at(object, {"status", "conditions"})) {
    if (text_at(condition, {"type"}) == "Ready") return text_at(condition, {"status"});
  }
  return {};
}

class K8sStream final : public ToolStream {
 public:
  explicit K8sStream(NormalizerOptions options) : ToolStream("k8s", std::move(options)) {}

 private:
  void take(const json::object& document) override {
    const std::string event = text_at(document, {"type"});
    const json::value* wrapped = document.if_contains("object");
    if (!wrapped || !wrapped->is_object()) return take_object(document, "");
    if (event == "BOOKMARK") return;
    if (event == "ERROR") {
      const std::string message = text_at(*wrapped, {"message"});
      return tell({.verb = "watch_error",
                   .message = fmt::format("the watch ended: {}", message),
                   .severity = Severity::warning,
                   .layer = "kubernetes",
                   .error = message,
                   .raw = *wrapped});
    }
    take_object(wrapped->get_object(), event);
  }

  void take_object(const json::object& object, std::string_view event) {
    const std::string kind = text_at(object, {"kind"});
    if (kind.ends_with("List") && object.contains("items")) {
      for (const json::value& each : array_at(object, {"items"})) {
        if (each.is_object() && !text_at(each, {"kind"}).ends_with("List")) take_object(each.get_object(), event);
      }
    } else if (event == "DELETED") {
      tell_deleted(object, kind);
    } else if (kind == "DaemonSet" || kind == "Deployment" || kind == "StatefulSet") {
      tell_rollout(object, kind);
    } else if (kind == "Pod") {
      tell_pod(object);
    } else if (kind == "Node") {
      tell_node(object);
    } else if (kind == "Event") {
      tell_event(object);
    } else {
      tell_other(object, kind, event);
    }
  }

  bool changed(const std::string& what, std::string state) {
    if (!seen_.contains(what)) make_room(seen_, 4'096);
    std::string& before = seen_[what];
    return std::exchange(before, seen_text(std::move(state))) != before;
  }

  void tell_deleted(const json::object& object, std::string_view kind) {
    const std::string name = object_name(object);
    seen_.erase(fmt::format("{} {}", kind, name));
    tell({.verb = "deleted",
          .message = fmt::format("{} {} is deleted", lower_case(kind), name),
          .node = text_at(object, {"spec", "nodeName"}),
          .layer = kind == "Node" ? "kubernetes" : "workload",
          .resource = fmt::format("{}/{}", lower_case(kind), name)});
  }

  void tell_rollout(const json::object& object, std::string_view kind) {
    const std::string name = object_name(object);
    const RolloutCounts counts = rollout_counts(object, kind == "DaemonSet");
    const auto generation = number_at(object, {"metadata", "generation"}).value_or(0);
    if (!changed(fmt::format("{} {}", kind, name), fmt::format("{} {} {} {} {}", generation, counts.observed,
                                                               counts.desired, counts.updated, counts.available))) {
      return;
    }
    const bool done = counts.observed && counts.updated >= counts.desired && counts.available >= counts.desired;
    tell({.verb = done ? "rollout_done" : "rollout_progress",
          .message = fmt::format("{} {}: {} of {} updated, {} available{}", lower_case(kind), name, counts.updated,
                                 counts.desired, counts.available, done ? ": rolled out" : ""),
          .severity = done ? Severity::ok : Severity::info,
          .layer = "workload",
          .resource = fmt::format("{}/{}", lower_case(kind), name),
          .status = done ? "succeeded" : "progress",
          .raw = json::object{{"generation", generation}, {"status", object_at(object, {"status"})}}});
  }

  void tell_pod(const json::object& pod) {
    const std::string name = object_name(pod);
    const std::string phase = text_at(pod, {"status", "phase"});
    const std::string trouble = pod_trouble(pod);
    const bool ready = ready_status(pod) == "True";
    if (!changed("Pod " + name, fmt::format("{} {} {}", phase, trouble, ready))) return;
    const bool failed = phase == "Failed" || trouble.ends_with("BackOff") || trouble.starts_with("Err");
    const std::string node = text_at(pod, {"spec", "nodeName"});
    tell({.verb = "pod_" + lower_case(phase),
          .message = fmt::format("pod {} on {}: {}{}{}", name, node.empty() ? "-" : node, phase, ready ? ", ready" : "",
                                 trouble.empty() ? "" : ", " + trouble),
          .severity = failed  ? Severity::error
                      : ready ? Severity::ok
                              : Severity::info,
          .node = node,
          .layer = "workload",
          .resource = "pod/" + name,
          .status = failed                          ? "failed"
                    : ready || phase == "Succeeded" ? "succeeded"
                                                    : "progress",
          .error = failed ? trouble : "",
          .raw = json::object{{"phase", phase}, {"conditions", array_at(pod, {"status", "conditions"})}}});
  }

  void tell_node(const json::object& node) {
    const std::string name = object_name(node);
    const std::string ready = ready_status(node);
    const json::value* cordoned = json_at(node, {"spec", "unschedulable"});
    const bool closed = cordoned && cordoned->is_bool() && cordoned->get_bool();
    if (!changed("Node " + name, fmt::format("{} {}", ready, closed))) return;
    const bool good = ready == "True";
    tell({.verb = good ? "node_ready" : "node_not_ready",
          .message = fmt::format("node {} is {}ready{}", name, good ? "" : "not ", closed ? ", cordoned" : ""),
          .severity = good ? Severity::ok : Severity::warning,
          .node = name,
          .layer = "kubernetes",
          .resource = "node/" + name,
          .status = good ? "succeeded" : "progress",
          .raw = json::object{{"conditions", array_at(node, {"status", "conditions"})}}});
  }

  void tell_event(const json::object& event) {
    const std::string kind = text_at(event, {"involvedObject", "kind"});
    const std::string name = fmt::format("{}/{}", lower_case(kind), text_at(event, {"involvedObject", "name"}));
    std::string time = text_at(event, {"lastTimestamp"});
    if (time.empty()) time = text_at(event, {"eventTime"});
    const bool warning = text_at(event, {"type"}) == "Warning";
    tell({.verb = "event",
          .message = fmt::format("{}: {}: {}", name, text_at(event, {"reason"}), text_at(event, {"message"})),
          .severity = warning ? Severity::warning : Severity::info,
          .time = time,
          .node = text_at(event, {"source", "host"}),
          .layer = kind == "Node" ? "kubernetes" : "workload",
          .resource = name,
          .status = "progress",
          .raw = event});
  }

  void tell_other(const json::object& object, std::string_view kind, std::string_view event) {
    const std::string name = object_name(object);
    tell({.verb = "object",
          .message = fmt::format("{} {}: {}", kind.empty() ? "an object" : kind, name,
                                 event.empty() ? "seen" : lower_case(event)),
          .severity = Severity::debug,
          .layer = "kubernetes",
          .resource = fmt::format("{}/{}", lower_case(kind), name),
          .raw = object});
  }

  /// daemon set "histod" successfully rolled out
  void take_text(std::string_view line) override {
    Fact fact = text_fact(line);
    fact.layer = "workload";
    fact.status = "progress";
    const std::size_t open = line.find('"');
    const std::size_t close = open == std::string_view::npos ? open : line.find('"', open + 1);
    const bool about = line.starts_with("Waiting for ") || line.contains("successfully rolled out");
    if (about && close != std::string_view::npos) {
      fact.verb = "rollout_progress";
      fact.resource = line.substr(open + 1, close - open - 1);
    }
    if (line.contains("successfully rolled out")) {
      fact.verb = "rollout_done";
      fact.severity = Severity::ok;
      fact.status = "succeeded";
    } else if (line.starts_with("error:") || line.starts_with("Error from server")) {
      fact.verb = "rollout_failed";
      fact.severity = Severity::error;
      fact.status = "failed";
      fact.error = fact.message;
    }
    tell(std::move(fact));
  }

  std::map<std::string, std::string> seen_;
};

}  // namespace

std::unique_ptr<Normalizer> make_k8s(NormalizerOptions options) {
  return std::make_unique<K8sStream>(std::move(options));
}

}  // namespace histod::daemon::telemetry
