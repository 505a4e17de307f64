// SPDX-License-Identifier: Apache-2.0
// What `kubeadm init`, `join` and `upgrade` print, "[phase] text" for the most part, and kubelet's klog lines
// (`I1122 03:04:05.678901 1234 file.go:12] text`), also behind the journal's own beginning.
#include <cctype>

#include <fmt/format.h>

#include "daemon/telemetry/tool_stream.hpp"

namespace histod::daemon::telemetry {

namespace {

bool is_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
}

struct KlogLine {
  char level = 0;
  std::string_view message;
};

/// "E1122 03:04:05.678901    1234 file.go:12] text", wherever in the line it begins.
std::optional<KlogLine> read_klog(std::string_view line) {
  const std::size_t end = line.find("] ");
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view head = line.substr(0, end);
  for (std::size_t at = 0; at + 20 <= head.size(); ++at) {
    const bool begins = at == 0 || head[at - 1] == ' ';
    if (!begins || !std::string_view("IWEF").contains(head[at])) continue;
    const std::string_view rest = head.substr(at);
    if (is_digits(rest.substr(1, 4)) && rest[5] == ' ' && is_digits(rest.substr(6, 2)) && rest[8] == ':' &&
        rest.find(".go:") != std::string_view::npos) {
      return KlogLine{rest[0], line.substr(end + 2)};
    }
  }
  return std::nullopt;
}

struct KubeadmMark {
  std::string_view text;
  std::string_view verb;
  Severity severity;
  std::string_view status;
};
/// What tells how it ended, wherever it stands in a line.
constexpr KubeadmMark k_kubeadm_marks[] = {
    {"has initialized successfully", "initialized", Severity::ok, "succeeded"},
    {"This node has joined the cluster", "joined", Severity::ok, "succeeded"},
    {"[upgrade/successful]", "upgraded", Severity::ok, "succeeded"},
    {"error execution phase", "failed", Severity::error, "failed"},
    {"[ERROR ", "preflight_error", Severity::error, "failed"},
    {"[WARNING ", "preflight_warning", Severity::warning, "progress"},
    {"error: ", "failed", Severity::error, "failed"},
};

class KubeadmStream final : public ToolStream {
 public:
  explicit KubeadmStream(NormalizerOptions options) : ToolStream("kubeadm", std::move(options)) {}

 private:
  /// kubeadm writes no JSON; klog can (--logging-format=json): {"ts", "v", "msg", "err"}.
  void take(const boost::json::object& document) override {
    Fact fact{.verb = "kubelet",
              .message = text_at(document, {"msg"}),
              .layer = "kubernetes",
              .resource = "kubelet",
              .status = "progress",
              .error = text_at(document, {"err"}),
              .raw = document};
    if (!fact.error.empty()) {
      fact.severity = Severity::error;
      fact.message += ": " + fact.error;
    }
    if (fact.message.empty()) fact.message = "kubelet: a line without msg";
    tell(std::move(fact));
  }

  void take_text(std::string_view line) override {
    if (const auto klog = read_klog(line)) return tell_klog(line, *klog);
    Fact fact = text_fact(line);
    fact.layer = "kubernetes";
    fact.resource = "kubeadm";
    fact.status = "progress";
    set_phase(line, fact);
    for (const KubeadmMark& mark : k_kubeadm_marks) {
      if (!line.contains(mark.text)) continue;
      fact.verb = mark.verb;
      fact.severity = mark.severity;
      fact.status = mark.status;
      if (mark.severity == Severity::error) fact.error = fact.message;
      break;
    }
    tell(std::move(fact));
  }

  void tell_klog(std::string_view line, const KlogLine& klog) {
    Fact fact = text_fact(line);
    if (fact.message != k_redacted) fact.message = klog.message;
    fact.verb = "kubelet";
    fact.layer = "kubernetes";
    fact.resource = "kubelet";
    fact.status = "progress";
    if (klog.level == 'W') fact.severity = Severity::warning;
    if (klog.level == 'E' || klog.level == 'F') {
      fact.severity = Severity::error;
      fact.error = klog.message;
    }
    tell(std::move(fact));
  }

  /// "[wait-control-plane] Waiting...": a phase starts with its first line.
  void set_phase(std::string_view line, Fact& fact) {
    const std::size_t end = line.find(']');
    if (!line.starts_with('[') || end == std::string_view::npos || end < 2 || end > 64) return;
    const std::string phase(line.substr(1, end - 1));
    if (phase.contains(' ')) return;
    fact.verb = "phase";
    fact.resource = phase;
    fact.status = phase == phase_ ? "progress" : "started";
    phase_ = phase;
  }

  std::string phase_;
};

}  // namespace

std::unique_ptr<Normalizer> make_kubeadm(NormalizerOptions options) {
  return std::make_unique<KubeadmStream>(std::move(options));
}

}  // namespace histod::daemon::telemetry
