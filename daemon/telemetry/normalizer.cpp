// SPDX-License-Identifier: Apache-2.0
#include "daemon/telemetry/normalizer.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/telemetry/tool_stream.hpp"

namespace histod::daemon::telemetry {

namespace {

using Make = std::unique_ptr<Normalizer> (*)(NormalizerOptions);
constexpr std::array<std::string_view, 8> k_tools{"terraform", "tinkerbell", "ansible", "kubeadm",
                                                  "k8s",       "argocd",     "flux",    "systemd"};
constexpr std::array<Make, 8> k_makers{make_terraform, make_tinkerbell, make_ansible, make_kubeadm,
                                       make_k8s,       make_argocd,     make_flux,    make_systemd};

void append(std::vector<Event>& to, std::vector<Event> from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

std::span<const std::string_view> normalizer_tools() { return k_tools; }

std::unique_ptr<Normalizer> make_normalizer(std::string_view tool, NormalizerOptions options) {
  const auto found = std::ranges::find(k_tools, tool);
  if (found == k_tools.end()) return nullptr;
  return k_makers[static_cast<std::size_t>(found - k_tools.begin())](std::move(options));
}

std::vector<Event> normalize_body(Normalizer& normalizer, std::string_view body) {
  std::vector<Event> events;
  boost::system::error_code error;
  boost::json::parse_options how;
  how.max_depth = 48;
  const boost::json::value whole = boost::json::parse(body, error, {}, how);
  if (!error && whole.is_array()) {
    for (const boost::json::value& each : whole.get_array()) {
      append(events, normalizer.feed(boost::json::serialize(each)));
    }
  } else if (!error) {
    append(events, normalizer.feed(boost::json::serialize(whole)));
  } else {
    while (!body.empty()) {
      const std::size_t end = body.find('\n');
      append(events, normalizer.feed(body.substr(0, end)));
      body.remove_prefix(end == std::string_view::npos ? body.size() : end + 1);
    }
  }
  append(events, normalizer.end());
  return events;
}

}  // namespace histod::daemon::telemetry
